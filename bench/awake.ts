import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";

/**
 * Keeps the cores from dozing off, with loops that run only when nobody else wants to (SCHED_IDLE). On a virtual machine waking one costs
 * a tenth of a millisecond or more, for each step of a call. Returns how to end it; undefined where `chrt` is not to be had.
 */
export async function keepAwake(): Promise<(() => void) | undefined> {
  const loops = Array.from({ length: availableParallelism() }, () =>
    spawn("chrt", ["--idle", "0", process.execPath, "-e", "for (;;);"], { stdio: "ignore" }),
  );
  const began = await Promise.all(
    loops.map((loop) => new Promise<boolean>((resolve) => loop.once("spawn", () => resolve(true)).once("error", () => resolve(false)))),
  );
  if (!began.every(Boolean)) return undefined;
  return () => {
    for (const loop of loops) loop.kill("SIGKILL");
  };
}
