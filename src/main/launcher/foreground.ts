import { printer, seconds } from "./report.ts";
import { type Stack, type StackOptions, startStack } from "./stack.ts";
import { addressTable } from "./table.ts";

/**
 * Runs a stack in front of a person until SIGINT, SIGTERM or SIGHUP, and then ends this process: 0 after an orderly stop,
 * 1 with one message when the stack cannot start. npm passes on a Ctrl-C that the terminal has already sent here, so only the
 * first signal counts. `onReady` may return what is to be ended with the stack.
 */
export async function runInForeground(
  options: Omit<StackOptions, "report" | "signal">,
  onReady: (stack: Stack) => () => void = () => () => undefined,
): Promise<void> {
  const giveUp = new AbortController();
  const stopRequested = new Promise<void>((resolve) => {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(name, () => {
        if (giveUp.signal.aborted) return;
        write("\nStopping\n");
        giveUp.abort();
        resolve();
      });
    }
  });
  const began = performance.now();
  write("Starting Tollkeeper\n");
  try {
    const stack = await startStack({ ...options, report: printer(write), signal: giveUp.signal });
    write(`\nTollkeeper is ready after ${seconds(performance.now() - began)}.\n\n${addressTable(stack.endpoints, stack.dataDir)}\n`);
    const finish = onReady(stack);
    await stopRequested;
    finish();
    await stack.stop();
  } catch (error) {
    if (!giveUp.signal.aborted) {
      process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
      process.exit(1);
    }
  }
  write("Stopped.\n");
  process.exit(0);
}

/** Output that nobody reads any more (a closed terminal or pipe) must not keep the parts from being ended. */
function write(text: string): void {
  process.stdout.write(text);
}
process.stdout.on("error", () => undefined);
