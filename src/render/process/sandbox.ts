import { chmod, readdir, realpath, stat } from "node:fs/promises";
import path from "node:path";
import type { Logger } from "../../platform/logger.ts";
import type { Means, Program } from "./command.ts";
import { findProgram } from "./find.ts";
import { inRoom } from "./room.ts";
import { runProgram, type Ending } from "./run.ts";

/** How programs are kept apart from this machine: wholly, or by their limits alone, and then why. */
export type Isolation = { kind: "full" } | { kind: "limits"; why: string };

/** A place for programs that must not be trusted. */
export interface Sandbox {
  /** Found out once. */
  isolation(): Promise<Isolation>;
  /** The same place, for what is never run where it cannot be kept apart. */
  strict(): Sandbox;
  /** Makes a folder for programs; it is removed when `use` is done. Throws {@link NotIsolated} where isolation is required and missing. */
  enter<T>(use: (inside: Inside) => Promise<T>): Promise<T>;
}

export interface Inside {
  folder: string;
  /** Runs a program in the folder; see runProgram. */
  run(program: Program, hooks: { signal: AbortSignal; onLine: (line: string) => void }): Promise<Ending>;
}

/** Programs cannot be kept apart here, and this node is told to run none then. */
export class NotIsolated extends Error {
  override readonly name = "NotIsolated";
}

const TRIAL_MS = 10_000;
/** Nothing of the network but the loopback that is there always, nothing to write outside: as a program sees it. */
const TRIAL = "[ $(grep -c : /proc/net/dev) -le 1 ] && ! touch /usr/trial 2>/dev/null && touch /work/trial && exit 7";

export function createSandbox(deps: { folder: string; required: boolean; log: Logger }): Sandbox {
  const { folder, required, log } = deps;
  let found: Promise<{ means: Means; isolation: Isolation }> | undefined;

  async function find(): Promise<{ means: Means; isolation: Isolation }> {
    const [bwrap, prlimit, setpriv] = await Promise.all(["bwrap", "prlimit", "setpriv"].map(findProgram));
    const means: Means = { prlimit, setpriv };
    const why = !prlimit || !setpriv ? "util-linux is not installed" : await trial(folder, { ...means, bwrap });
    if (why === undefined) return { means: { ...means, bwrap }, isolation: { kind: "full" } };
    log.warn({ why, required }, "renderers cannot be kept apart from this machine");
    return { means, isolation: { kind: "limits", why } };
  }

  const here = () => (found ??= find());
  const sandbox = (isolated: boolean): Sandbox => ({
    isolation: async () => (await here()).isolation,
    strict: () => sandbox(true),
    async enter(use) {
      const { means, isolation } = await here();
      if (isolated && isolation.kind !== "full") throw new NotIsolated(`renderers cannot be kept apart here: ${isolation.why}`);
      return inRoom(folder, (room) =>
        use({
          folder: room.folder,
          async run(program, hooks) {
            if (room.uid !== undefined) await Promise.all(Object.values(program.given ?? {}).map(letRead));
            return runProgram(program, means, room, hooks);
          },
        }),
      );
    },
  });
  return sandbox(required);
}

/** Why isolation does not work; undefined when it does. Kernels, containers and security modules forbid it in many ways: it is tried. */
async function trial(folder: string, means: Means): Promise<string | undefined> {
  if (!means.bwrap) return "bubblewrap is not installed";
  const lines: string[] = [];
  const MIB = 2 ** 20;
  const limits = { wallMs: TRIAL_MS, cpuSeconds: 10, memory: 256 * MIB, output: MIB, files: 100, processes: 20, boundAddresses: true };
  const program: Program = { file: await realpath("/bin/sh"), arguments: () => ["-c", TRIAL], limits };
  const hooks = { signal: AbortSignal.timeout(2 * TRIAL_MS), onLine: (line: string) => void lines.push(line) };
  const ending = await inRoom(folder, (room) => runProgram(program, means, room, hooks)).catch((error: Error) => error);
  if ("kind" in ending && ending.kind === "exited" && ending.code === 7) return undefined;
  return lines[0] ?? (ending instanceof Error ? ending.message : "a trial failed");
}

/**
 * A file that is given to another user, or a folder with what is in it, must be one that others may read; whoever looks elsewhere is kept out
 * by the folders above it.
 */
async function letRead(file: string): Promise<void> {
  const found = await stat(file);
  const rights = found.isDirectory() ? 0o055 : 0o044;
  if ((found.mode & rights) !== rights) await chmod(file, found.mode | rights);
  if (found.isDirectory()) for (const name of await readdir(file)) await letRead(path.join(file, name));
}
