import { createBatcher } from "../../platform/batcher.ts";
import { inBatches } from "../../platform/inBatches.ts";
import type { Pool } from "../../platform/postgres.ts";
import { deleteExpired, deleteKept, findKept, insertKept, type KeptOwner, type KeptRow } from "./repository.ts";

export type { KeptRow } from "./repository.ts";

/** OpenAI keeps a response for 30 days (https://platform.openai.com/docs/guides/your-data). */
const KEPT_MS = 30 * 86_400_000;

/** Whose the answers are that providers keep. */
export interface KeptAnswers {
  /** Resolves when it is durable. Many callers share one statement. */
  remember(rows: KeptRow[]): Promise<void>;
  /** Those of these ids that the owner may use. */
  find(owner: KeptOwner, ids: readonly string[]): Promise<KeptRow[]>;
  forget(userId: string, responseId: string): Promise<void>;
}

export function createKeptAnswers(pool: Pool): KeptAnswers {
  const writing = createBatcher<KeptRow[], undefined>({
    run: async (batch) => {
      await insertKept(pool, batch.flat(), KEPT_MS);
      return batch.map(() => undefined);
    },
    maxBatch: 200,
  });
  return {
    remember: (rows) => writing.add(rows),
    // Postgres takes no text with a NUL in it, so nothing is kept under such an id.
    find: (owner, ids) =>
      findKept(
        pool,
        owner,
        ids.filter((id) => !id.includes("\0")),
      ),
    forget: (userId, responseId) => deleteKept(pool, userId, responseId),
  };
}

/** Forgets answers whose providers have forgotten them too. May run at any time, twice, and on several workers. */
export const forgetExpiredAnswers = (pool: Pool): Promise<number> => inBatches((most) => deleteExpired(pool, most));
