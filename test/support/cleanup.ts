type Task = () => Promise<unknown> | unknown;

/** Shared by every copy of this module in the process. */
const KEY = Symbol.for("tollkeeper.test.cleanup");
const holder = globalThis as unknown as Record<symbol, Task[] | undefined>;

/** Runs at the end of the whole test run, also after a failure or Ctrl-C; the last registered first. */
export function atEnd(task: Task): void {
  (holder[KEY] ??= []).push(task);
}

/** Runs and forgets all of them; one that fails is said and does not keep the others from running. */
export async function cleanUp(): Promise<void> {
  for (let task = holder[KEY]?.pop(); task; task = holder[KEY]?.pop()) {
    try {
      await task();
    } catch (error) {
      process.stderr.write(`clean-up: ${(error as Error).message}\n`);
    }
  }
}
