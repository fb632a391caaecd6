import path from "node:path";
import { projectRoot } from "../platform/root.ts";
import { runInForeground } from "./launcher/foreground.ts";
import { restartOnChange } from "./launcher/watch.ts";
import { loadEnv } from "./load-env.ts";

/** `npm start`: everything on this machine, until Ctrl-C. `--watch` starts api and worker anew when they were compiled again. */

loadEnv();
await runInForeground(
  { dataDir: path.resolve(process.env["TOLLKEEPER_DATA"] || path.join(projectRoot, ".data")), env: process.env, usualPorts: true },
  process.argv.includes("--watch") ? restartOnChange : undefined,
);
