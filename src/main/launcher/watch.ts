import { spawn } from "node:child_process";
import { watch } from "node:fs";
import path from "node:path";
import { projectRoot } from "../../platform/root.ts";
import { compiledFolder } from "./node-parts.ts";
import type { Stack } from "./stack.ts";

const QUIET_MS = 500;
const WATCHED = ["src", "workflows", "activities"];

/**
 * Compiles whenever a source changes, and starts api and worker anew when half a second was quiet after that. Returns what
 * ends it.
 */
export function restartOnChange(stack: Stack): () => void {
  const compiler = spawn(
    path.join(projectRoot, "node_modules/.bin/tsc"),
    ["--watch", "--preserveWatchOutput", "--outDir", compiledFolder],
    {
      stdio: "inherit",
      cwd: projectRoot,
    },
  );
  let timer: NodeJS.Timeout | undefined;
  let restarting: Promise<unknown> = Promise.resolve();
  const restart = (name: "api" | "worker") =>
    stack
      .part(name)
      .stop()
      .then(() => stack.part(name).start());
  const again = () => {
    // A part that does not start now has said so; the next change tries again.
    restarting = restarting.then(() => Promise.allSettled([restart("api"), restart("worker")]));
  };
  const watchers = WATCHED.map((folder) =>
    watch(path.join(compiledFolder, folder), { recursive: true }, (_event, file) => {
      if (!file?.endsWith(".js")) return;
      clearTimeout(timer);
      timer = setTimeout(again, QUIET_MS);
    }),
  );
  return () => {
    compiler.kill();
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
