/** What takes long in so few is the machine, and smaller batches would only be more of them. */
const LEAST = 25;

/**
 * Gives batches of work a size, so that each locks what it locks for about `targetMs`: from one to the next at most twice as large, and as
 * small at once as the last one's time asks for. A batch that failed tells nothing.
 */
export function createPace({ targetMs, most }: { targetMs: number; most: number }) {
  let size = LEAST;
  return async function paced<T extends { lockedMs: number }>(batch: (size: number) => Promise<T>): Promise<T> {
    const result = await batch(size);
    size = nextSize(size, { tookMs: result.lockedMs, targetMs, most });
    return result;
  };
}

/** How large the next batch is, after one of `size` that took so long. */
export function nextSize(size: number, { tookMs, targetMs, most }: { tookMs: number; targetMs: number; most: number }): number {
  const fitting = Math.floor((size * targetMs) / Math.max(tookMs, 0.001));
  return Math.max(LEAST, Math.min(fitting, size * 2, most));
}
