import { createBatcher } from "../../../platform/batcher.ts";
import { inBatches } from "../../../platform/inBatches.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { Pool } from "../../../platform/postgres.ts";
import { deleteOwned, deletePassed, findOwned, insertOwned, type Lifetimes, type OwnedRow } from "./repository.ts";

export { noteRunTokens } from "./repository.ts";
export type { OwnedKind, OwnedRow } from "./repository.ts";

const DAY_MS = 86_400_000;
/**
 * A task is over long before; a run may wait this long for a person's word. As days are whole, a conversation that goes on writes no index.
 * What is forgotten is nobody's: who asks for it is told that there is no such thing, and nothing can be charged by it.
 */
const LIFETIMES: Lifetimes = { passing: 31 * DAY_MS, lasting: 400 * DAY_MS };

/** Whose the things are that Dify made. */
export interface OwnedIds {
  /** Resolves when it is durable, or could not be: then they can only not be named again. Many callers share one statement. Never rejects. */
  note(rows: OwnedRow[]): Promise<void>;
  /** Those of these ids that are the owner's; what this process is just noting is waited for. */
  find(owner: string, ids: readonly string[]): Promise<OwnedRow[]>;
  forget(owner: string, id: string): Promise<void>;
}

export function createOwnedIds(deps: { pool: Pool; log: Logger }): OwnedIds {
  const { pool, log } = deps;
  const writing = createBatcher<OwnedRow[], undefined>({
    run: async (batch) => {
      await insertOwned(pool, batch.flat(), LIFETIMES);
      return batch.map(() => undefined);
    },
    maxBatch: 200,
  });
  async function note(rows: OwnedRow[]): Promise<void> {
    await writing
      .add(rows)
      .catch((error: unknown) => log.warn({ err: error, ids: rows.length }, "whose things at Dify are could not be noted"));
  }

  return {
    note,
    async find(owner, ids) {
      // Postgres takes no text with a NUL in it, so nothing is kept under such an id.
      const possible = ids.filter((id) => !id.includes("\0"));
      const found = await findOwned(pool, owner, possible);
      if (found.length === new Set(possible).size || writing.size === 0) return found;
      // Batches go one after the other: this one when those before it are written.
      await note([]);
      return findOwned(pool, owner, possible);
    },
    forget: (owner, id) => deleteOwned(pool, owner, id),
  };
}

/** Forgets tasks and runs that are long over, and what nobody has used for more than a year. May run at any time, twice, and on several workers. */
export const forgetPassedTasks = (pool: Pool): Promise<number> => inBatches((most) => deletePassed(pool, most));
