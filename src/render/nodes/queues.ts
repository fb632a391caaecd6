/**
 * Task queues of render nodes, by what a frame needs: one for each engine and class of memory. A node takes from those of its engines
 * whose class its memory holds, so that a frame never comes to a node where it does not fit. Pure.
 */

/** Classes of memory in MiB: up to as much as machines of 4, 8, 16 … 256 GB have left for frames. */
export const MEMORY_CLASSES = [256, 2_048, 6_144, 14_336, 30_720, 61_440, 122_880, 245_760] as const;
/** No frame may need more. */
export const MOST_MEMORY_MB = 245_760;
/** What a frame is taken to need of which nobody says more. */
const USUAL_MEMORY_MB = 1_024;

/** An engine, as far as it decides where its frames go. */
export interface Needs {
  readonly name: string;
  readonly memoryMb?: number;
}

/** What a frame needs in MiB: the most of what its engine always does, its scene's check found, and its owner asks for. */
export const memoryFor = (engine: Needs, ...said: readonly (number | undefined)[]): number =>
  Math.ceil(Math.max(engine.memoryMb ?? USUAL_MEMORY_MB, ...said.map((each) => each ?? 0)));

const nameOf = (prefix: string, engine: string, classMb: number): string => `${prefix}-${engine}-${classMb}m`;

/** Where a frame waits. Throws when no class is large enough: the request's schema keeps within them. */
export function queueFor(prefix: string, engine: string, memoryMb: number): string {
  const fitting = MEMORY_CLASSES.find((classMb) => memoryMb <= classMb);
  if (fitting === undefined) throw new Error(`no render node has ${memoryMb} MiB`);
  return nameOf(prefix, engine, fitting);
}

/** The queues that a node with these engines and this memory takes from. */
export function queuesOf(prefix: string, engines: Iterable<Needs>, memoryMb: number): string[] {
  return [...engines].flatMap((engine) => {
    const least = memoryFor(engine);
    return MEMORY_CLASSES.filter((classMb) => classMb >= least && classMb <= memoryMb).map((classMb) =>
      nameOf(prefix, engine.name, classMb),
    );
  });
}
