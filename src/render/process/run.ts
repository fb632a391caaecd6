import { spawn, type ChildProcess } from "node:child_process";
import { constants, setPriority } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { commandOf, type Means, type Program } from "./command.ts";
import { readLines } from "./lines.ts";
import type { Limit } from "./limits.ts";
import { folderUsage, processUsage } from "./usage.ts";

/** How a program ended. */
export type Ending = { kind: "exited"; code: number } | { kind: "crashed"; signal: string } | { kind: "limit"; limit: Limit };

const LOOK_EVERY_MS = 300;
/** A program that was killed is gone by then, but for what the kernel still waits for. */
const GONE_MS = 5_000;

/**
 * Runs a program in a folder of its own until it ends, goes over a limit or is not wanted any more; by then nothing of it is left running.
 * Rejects with the signal's reason, or when the program cannot be started.
 */
export async function runProgram(
  program: Program,
  means: Means,
  room: { folder: string; uid?: number | undefined },
  { signal, onLine }: { signal: AbortSignal; onLine: (line: string) => void },
): Promise<Ending> {
  signal.throwIfAborted();
  const { file, args, environment, cwd } = commandOf(program, means, room);
  const child = spawn(file, args, { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const ended = endOf(child);
  // Whatever else this machine does goes first.
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  readLines(child.stdout, onLine);
  readLines(child.stderr, onLine);

  let over: Limit | undefined;
  const watch = new AbortController();
  const stop = (limit?: Limit) => {
    over ??= limit;
    void killAll(child);
  };
  const onAbort = () => stop();
  const clock = setTimeout(() => stop("time"), program.limits.wallMs);
  signal.addEventListener("abort", onAbort, { once: true });
  void lookOn(child, program, room.folder, watch.signal, stop);
  try {
    const { code, by } = await ended;
    if (signal.aborted) throw signal.reason;
    if (over) return { kind: "limit", limit: over };
    return endingOf(code, by);
  } finally {
    clearTimeout(clock);
    watch.abort();
    signal.removeEventListener("abort", onAbort);
    await killAll(child);
  }
}

interface End {
  code: number | null;
  by: NodeJS.Signals | null;
}

/** Resolves when a program has ended and what it printed is read, which a process that it left behind must not hold up. */
function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, by) => resolve({ code, by }));
    child.once("exit", (code, by) => {
      const late = setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve({ code, by });
      }, GONE_MS);
      child.once("close", () => clearTimeout(late));
    });
  });
}

/** What wrappers report as 128 and more is a signal that ended the program in them. */
function endingOf(code: number | null, by: NodeJS.Signals | null): Ending {
  const number = code !== null && code > 128 ? code - 128 : undefined;
  const signal = by ?? Object.entries(constants.signals).find(([, no]) => no === number)?.[0];
  if (signal === "SIGXCPU") return { kind: "limit", limit: "cpu" };
  if (signal === "SIGXFSZ") return { kind: "limit", limit: "output" };
  return signal ? { kind: "crashed", signal } : { kind: "exited", code: code ?? 1 };
}

/** Looks again and again at what a program uses, until it is over. */
async function lookOn(
  child: ChildProcess,
  { limits }: Program,
  folder: string,
  signal: AbortSignal,
  stop: (limit: Limit) => void,
): Promise<void> {
  while (!signal.aborted && child.pid !== undefined) {
    const [{ pids, memory }, { bytes, files }] = await Promise.all([processUsage(child.pid), folderUsage(folder, limits.files)]);
    if (memory > limits.memory) return stop("memory");
    if (pids.length > limits.processes) return stop("processes");
    if (bytes > limits.output) return stop("output");
    if (files > limits.files) return stop("files");
    await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Ends a program with everything that descends from it, also what has left its process group. */
async function killAll(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  const { pids } = await processUsage(child.pid);
  for (const pid of [-child.pid, ...pids]) {
    // The number of a process that is gone may be another's by now: only while ours is there its children are its own.
    if (pid > 0 && child.exitCode !== null) continue;
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
}
