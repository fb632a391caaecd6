import { LRUCache } from "lru-cache";
import type { Invalidation } from "../../platform/invalidation.ts";
import type { Pool } from "../../platform/postgres.ts";
import { accountOfDifyUser } from "../difyMessage.ts";

/** Who pays for what a Dify user did. */
export interface Payer {
  userId: string;
  walletId: bigint;
  tier: string;
  /** Those it had before, each until when; oldest first. Without them it is taken to have had this one always. */
  pastTiers?: readonly { tier: string; until: Date }[] | undefined;
}

/** The tier that somebody had at a moment: what was used then is priced by it, however late it is charged. */
export const tierAt = ({ tier, pastTiers }: Pick<Payer, "tier" | "pastTiers">, at: Date): string =>
  pastTiers?.find(({ until }) => at < until)?.tier ?? tier;

/** The accounts with these ids; those that are not there are left out. */
export type AccountsOf = (ids: readonly string[]) => Promise<Payer[]>;

/** Who pays, by Dify's `user_id`; those nobody knows are missing. */
export interface Payers {
  (users: readonly string[]): Promise<ReadonlyMap<string, Payer>>;
  /** Asks anew from now on, as every copy does a moment later: who has changed a mapping sees it at once. */
  forget(): void;
}

const KEPT = 50_000;
const MAX_AGE_MS = 60_000;
const OURS = /^(?:user_)?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i;

/**
 * Finds out who pays: whoever operators mapped the id to, else the account that the relay named to Dify, else the account with that id. Kept
 * in memory until any account or mapping changes; who is not found is asked for again each time.
 */
export function createPayers(deps: { pool: Pool; accountsOf: AccountsOf; invalidation: Invalidation }): Payers {
  const { pool, accountsOf, invalidation } = deps;
  const kept = new LRUCache<string, Payer>({ max: KEPT, ttl: MAX_AGE_MS });
  let changes = 0;
  const forget = (): void => {
    changes += 1;
    kept.clear();
  };
  invalidation.on("user", forget);

  async function read(users: readonly string[]): Promise<Map<string, Payer>> {
    const { rows } = await pool.query<{ external_id: string; user_id: string }>({
      name: "dify_users",
      text: "SELECT external_id, user_id FROM dify_users WHERE external_id = ANY ($1::text[])",
      values: [users],
    });
    const mapped = new Map(rows.map((row) => [row.external_id, row.user_id]));
    const ids = new Map(
      users.flatMap((user) => {
        const id = mapped.get(user) ?? accountOfDifyUser(user) ?? OURS.exec(user)?.[1]?.toLowerCase();
        return id === undefined ? [] : [[user, id] as const];
      }),
    );
    if (ids.size === 0) return new Map();
    const accounts = new Map((await accountsOf([...new Set(ids.values())])).map((account) => [account.userId, account]));
    return new Map([...ids].flatMap(([user, id]) => [accounts.get(id)].flatMap((payer) => (payer ? [[user, payer] as const] : []))));
  }

  const find = async (users: readonly string[]): Promise<ReadonlyMap<string, Payer>> => {
    const found = new Map<string, Payer>();
    const unknown = new Set<string>();
    for (const user of users) {
      const payer = invalidation.fresh ? kept.get(user) : undefined;
      if (payer) found.set(user, payer);
      else unknown.add(user);
    }
    if (unknown.size === 0) return found;
    const before = changes;
    for (const [user, payer] of await read([...unknown])) {
      found.set(user, payer);
      // A change announced while we were reading may not be in what we read.
      if (before === changes && invalidation.fresh) kept.set(user, payer);
    }
    return found;
  };
  return Object.assign(find, { forget });
}
