import { watch } from "node:fs";
import path from "node:path";
import { compiledFolder } from "./node-parts.ts";
import type { Stack } from "./stack.ts";

const QUIET_MS = 500;
const WATCHED = ["src", "workflows", "activities"];

/** Starts api and worker anew whenever what they were compiled to has changed and half a second was quiet. Returns what ends it. */
export function restartOnChange(stack: Stack): () => void {
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
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
