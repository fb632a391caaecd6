import { LRUCache } from "lru-cache";
import type { Invalidation } from "../platform/invalidation.ts";
import type { Pool, Queryable } from "../platform/postgres.ts";
import type { MultiplierRule } from "./multipliers/multiplier.ts";
import { activeRules } from "./multipliers/repository.ts";
import { affordableOutput, cost, estimate } from "./price.ts";
import { activeModels, findModel, findVersion, findVersionAt, type ModelRecord, type PriceVersion } from "./repository.ts";
import { createSnapshot } from "../platform/snapshot.ts";

/** A model that may be called. `price` is null while none was set: such a model is refused, never free. */
export interface PricedModel extends ModelRecord {
  /** What its price may be multiplied by; {@link multiplierFor} says by how much for one call. */
  rules: readonly MultiplierRule[];
}

export interface Pricing {
  /** The active model of this name or alias, ignoring case; undefined when there is none. Rejects when Postgres is needed and away. */
  model(name: string): Promise<PricedModel | undefined>;
  /** The same without waiting; `known: false` when {@link Pricing.model} must be asked. */
  peek(name: string): { known: true; model: PricedModel | undefined } | { known: false };
  /** Whether a model of this name or alias is known but switched off. Always asks Postgres. */
  switchedOff(name: string): Promise<boolean>;
  /** Every active model by name. */
  models(): Promise<PricedModel[]>;
  /** A version that was in force once; immutable and kept in memory. */
  version(id: bigint): Promise<PriceVersion | undefined>;
  /**
   * The version that was in force at a moment, for what is priced later; the first one when the model had no price then. Undefined while it
   * has none.
   */
  versionAt(model: PricedModel, at: Date): Promise<PriceVersion | undefined>;
  /** Forgets what is kept; for the copy that made a change. */
  drop(): void;
  cost: typeof cost;
  estimate: typeof estimate;
  affordableOutput: typeof affordableOutput;
}

const MAX_AGE_MS = 60_000;
const VERSIONS_KEPT = 10_000;

interface Book {
  list: PricedModel[];
  byName: Map<string, PricedModel>;
}

async function loadBook(db: Queryable): Promise<Book> {
  const [models, rules] = await Promise.all([activeModels(db), activeRules(db)]);
  const list = models.map((model): PricedModel => ({
    ...model,
    rules: rules.filter((rule) => rule.model === null || rule.model === model.name),
  }));
  const byName = new Map<string, PricedModel>();
  for (const model of list) {
    for (const name of [model.name, ...model.aliases]) byName.set(name.toLowerCase(), model);
  }
  return { list, byName };
}

/** Prices from Postgres, kept in memory by lower-cased name and alias and dropped by the topic `model`. */
export function createPricing(deps: { pool: Pool; invalidation: Invalidation }): Pricing {
  const book = createSnapshot<Book>({
    invalidation: deps.invalidation,
    topics: ["model"],
    maxAgeMs: MAX_AGE_MS,
    load: async () => {
      const loaded = await loadBook(deps.pool);
      for (const { price } of loaded.list) if (price) remember(price);
      return loaded;
    },
  });
  // Whoever settles what it has just priced asks for nothing while it holds locks.
  const versions = new LRUCache<bigint, PriceVersion>({ max: VERSIONS_KEPT });
  function remember(version: PriceVersion): PriceVersion {
    versions.set(version.id, version);
    return version;
  }

  return {
    async model(name) {
      return (await book.get()).byName.get(name.toLowerCase());
    },
    peek(name) {
      const present = book.peek();
      return present ? { known: true, model: present.byName.get(name.toLowerCase()) } : { known: false };
    },
    async switchedOff(name) {
      return (await findModel(deps.pool, name))?.status === "inactive";
    },
    async models() {
      return (await book.get()).list;
    },
    async version(id) {
      const kept = versions.get(id);
      if (kept) return kept;
      const found = await findVersion(deps.pool, id);
      return found && remember(found);
    },
    async versionAt(model, at) {
      const { price } = model;
      if (!price || price.createdAt <= at || price.version === 1) return price ?? undefined;
      const found = await findVersionAt(deps.pool, model.name, at);
      return found && remember(found);
    },
    drop: book.drop,
    cost,
    estimate,
    affordableOutput,
  };
}
