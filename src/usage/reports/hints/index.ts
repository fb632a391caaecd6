import type { Ledger } from "../../../ledger/index.ts";
import { formatCredits } from "../../../platform/credits.ts";
import type { Queryable } from "../../../platform/postgres.ts";
import type { PricedModel, Pricing } from "../../../pricing/index.ts";
import { sumsBy, totalOf } from "../../stats/sums.ts";
import { unusedCacheHints } from "./cache.ts";
import { cheaperModelHints, type Callable } from "./cheaper.ts";
import { readBroken, readMixes, readRecent, readRepeated } from "./facts.ts";
import { brokenCallHints, expiringCreditHints, largeHoldHints } from "./others.ts";

export interface HintDeps {
  db: Queryable;
  ledger: Pick<Ledger, "balance" | "heldFor">;
  pricing: Pick<Pricing, "models">;
  /** The routes at which providers serve a model now, as calls have them on record. */
  routesOf: (model: string) => Promise<ReadonlySet<string>>;
}

const DAYS = 30;
const DAY_MS = 86_400_000;
/** Holds are forgotten a day after they ended. */
const HOLDS_KNOWN_MS = 20 * 3_600_000;
const RECENT_CALLS = 1_000;

/** Where each model that has a price can be called now. */
async function callableAt(models: readonly PricedModel[], routesOf: HintDeps["routesOf"]): Promise<Callable> {
  const priced = models.filter(({ price }) => price !== null);
  return new Map(await Promise.all(priced.map(async ({ name }) => [name, await routesOf(name)] as const)));
}

/** Hints from the last 30 days, the largest amount first: the same data and moment give the same hints. */
export async function savingHints(deps: HintDeps, owner: { userId: string; walletId: bigint }, now: Date) {
  const { db, ledger } = deps;
  const range = { from: new Date(now.getTime() - DAYS * DAY_MS), to: now };
  const models = await deps.pricing.models();
  const byName = new Map(models.map((model) => [model.name, model]));
  const [mixes, repeated, broken, recent, balance, spent] = await Promise.all([
    readMixes(db, owner.userId, range),
    readRepeated(db, owner.userId, range),
    readBroken(db, owner.userId, range),
    readRecent(db, owner.userId, new Date(now.getTime() - HOLDS_KNOWN_MS), RECENT_CALLS),
    ledger.balance(owner.walletId),
    sumsBy(db, "model", range, "UTC", { user: owner.userId }),
  ]);
  const hints = [
    ...unusedCacheHints(repeated, byName),
    ...cheaperModelHints(mixes, byName, await callableAt(models, deps.routesOf)),
    ...largeHoldHints(recent, await ledger.heldFor(recent.map(({ id }) => id))),
    ...brokenCallHints(broken),
    ...expiringCreditHints(balance.sources, totalOf(spent).cost / BigInt(DAYS), now),
  ].sort((a, b) => (a.amount === b.amount ? (a.kind < b.kind ? -1 : 1) : a.amount > b.amount ? -1 : 1));
  return {
    from: range.from.toISOString(),
    to: range.to.toISOString(),
    items: hints.map((hint) => ({ ...hint, amount: formatCredits(hint.amount) })),
  };
}
