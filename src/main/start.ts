import { dataFolder } from "./data-folder.ts";
import { runInForeground } from "./launcher/foreground.ts";
import { restartOnChange } from "./launcher/watch.ts";
import { loadEnv } from "./load-env.ts";

/** `npm start`: everything on this machine, until Ctrl-C. `--watch` starts api and worker anew when they were compiled again. */

loadEnv();
await runInForeground(
  { dataDir: dataFolder(), env: process.env, usualPorts: true },
  process.argv.includes("--watch") ? restartOnChange : undefined,
);
