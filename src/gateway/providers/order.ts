/** What decides the order in which candidates are tried. */
export interface Ranked {
  /** The highest goes first. */
  priority: number;
  /** Share of the calls among equals in priority; 0 goes last among them. */
  weight: number;
}

/** Sorted by priority; true when equal priorities leave something to draw. */
export function rank<T extends Ranked>(candidates: readonly T[]): { sorted: T[]; draw: boolean } {
  const sorted = [...candidates].sort((a, b) => b.priority - a.priority);
  return { sorted, draw: sorted.some((candidate, i) => i > 0 && candidate.priority === sorted[i - 1]!.priority) };
}

/**
 * One order in which to try candidates: priorities strictly, equals drawn without replacement in proportion to their weights
 * (Efraimidis and Spirakis 2006: sort by −ln(u)/weight). `random` gives numbers in [0, 1).
 */
export function drawOrder<T extends Ranked>(candidates: readonly T[], random: () => number): T[] {
  return candidates
    .map((candidate) => ({ candidate, key: candidate.weight > 0 ? -Math.log(1 - random()) / candidate.weight : Infinity }))
    .sort((a, b) => b.candidate.priority - a.candidate.priority || (a.key === b.key ? 0 : a.key - b.key))
    .map(({ candidate }) => candidate);
}
