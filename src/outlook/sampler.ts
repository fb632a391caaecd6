import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import type { FigureName, Readers } from "./figures.ts";
import { forgetSamples, insertSamples, isTaken } from "./repository.ts";

const EVERY_MS = 300_000;
const KEPT_MS = 15 * 86_400_000;

/** Takes a sample of every figure, one for all workers every five minutes; may be called at any time. A figure that cannot be read is left out. */
export function createSampler(deps: { pool: Pool; log: Logger; readers: Readers; now?: () => number }): () => Promise<void> {
  const { pool, log, readers, now = Date.now } = deps;
  return async () => {
    const at = new Date(Math.floor(now() / EVERY_MS) * EVERY_MS);
    if (await isTaken(pool, at)) return;
    const names = Object.keys(readers) as FigureName[];
    const taken = await Promise.all(
      names.map(async (figure) => {
        try {
          return (await readers[figure]()).map((reading) => ({ figure, ...reading }));
        } catch (error) {
          log.warn({ err: error, figure }, "a figure could not be read");
          return [];
        }
      }),
    );
    await insertSamples(pool, at, taken.flat());
    await forgetSamples(pool, new Date(at.getTime() - KEPT_MS));
  };
}
