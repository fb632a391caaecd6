const BATCH = 5_000;
const FOR_MS = 3_000;

/**
 * Does regular work in short steps, each for at most so many rows, until nothing is left or the time is over; the next run takes the rest.
 * So a run ends in a bounded time, and what piles up faster than one step a run is still kept down. Answers how many rows there were.
 */
export async function inBatches(
  step: (most: number) => Promise<number>,
  { batch = BATCH, forMs = FOR_MS }: { batch?: number; forMs?: number } = {},
): Promise<number> {
  const until = performance.now() + forMs;
  let done = 0;
  for (;;) {
    const some = await step(batch);
    done += some;
    if (some < batch || performance.now() >= until) return done;
  }
}
