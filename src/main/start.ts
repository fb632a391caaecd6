import path from "node:path";
import { projectRoot } from "../platform/root.ts";
import { printer, seconds } from "./launcher/report.ts";
import { startStack, type Stack } from "./launcher/stack.ts";
import { addressTable } from "./launcher/table.ts";
import { loadEnv } from "./load-env.ts";

/** `npm start`: everything on this machine, until Ctrl-C. */

loadEnv();
const write = (text: string) => void process.stdout.write(text);
const dataDir = path.resolve(process.env["TOLLKEEPER_DATA"] || path.join(projectRoot, ".data"));
const giveUp = new AbortController();
let stack: Stack | undefined;
let stopping = false;

/** npm passes on a Ctrl-C that the terminal has already sent here: only the first one counts. */
function onSignal(): void {
  if (stopping) return;
  stopping = true;
  write("\nStopping…\n");
  if (!stack) {
    giveUp.abort();
    return;
  }
  stack.stop().then(
    () => {
      write("Stopped.\n");
      process.exit(0);
    },
    (error: Error) => {
      write(`${error.message}\n`);
      process.exit(1);
    },
  );
}
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, onSignal);

const began = performance.now();
write("Starting Tollkeeper\n");
try {
  stack = await startStack({ dataDir, env: process.env, usualPorts: true, report: printer(write), signal: giveUp.signal });
  write(`\nTollkeeper is ready after ${seconds(performance.now() - began)}.\n\n${addressTable(stack.endpoints, dataDir)}\n`);
} catch (error) {
  if (giveUp.signal.aborted) {
    write("Stopped.\n");
    process.exit(0);
  }

  process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
