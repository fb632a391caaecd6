import { recordAudit } from "../admin/audit.ts";
import { appError, fieldError } from "../platform/errors.ts";
import { announce } from "../platform/invalidation.ts";
import { inTransaction, uniqueViolation, type Pool, type PoolClient } from "../platform/postgres.ts";
import type { Prices } from "./price.ts";
import { presentPrices } from "./present.ts";
import {
  findModel,
  insertModel,
  insertPrice,
  lockModel,
  updateModel,
  type ModelFields,
  type ModelRecord,
  type PriceVersion,
} from "./repository.ts";
import type { ModelChange, NewModel } from "./schema.ts";

/** Who changes something; nobody when the program itself does. */
export interface Actor {
  userId: string | null;
  traceId: string | null;
}

export interface ModelAdmin {
  /** The model of this name or alias, ignoring case, with the price in force; also an inactive one. */
  find(name: string): Promise<ModelRecord | undefined>;
  /** Throws `conflict` when the name or an alias is taken. */
  create(model: NewModel, actor: Actor): Promise<ModelRecord>;
  /** Throws `not_found`, or `conflict` when an alias is taken. Prices that differ make a new version; other changes keep it. */
  change(name: string, change: ModelChange, actor: Actor): Promise<ModelRecord>;
}

const NEW_FIELDS: ModelFields = {
  aliases: [],
  displayName: null,
  modality: "text",
  contextLength: null,
  maxOutputTokens: null,
  status: "active",
};

function mergeFields(present: ModelFields, change: ModelChange): ModelFields {
  return {
    aliases: change.aliases ?? present.aliases,
    displayName: change.display_name === undefined ? present.displayName : change.display_name,
    modality: change.modality ?? present.modality,
    contextLength: change.context_length === undefined ? present.contextLength : change.context_length,
    maxOutputTokens: change.max_output_tokens === undefined ? present.maxOutputTokens : change.max_output_tokens,
    status: change.status ?? present.status,
  };
}

/**
 * The prices after a change, or undefined when the change says nothing about prices. The first prices of a model must name input
 * and output, so that nothing becomes free by leaving it out: 0 is written "0".
 */
function mergePrices(present: PriceVersion | null, change: ModelChange): Prices | undefined {
  const given = Object.entries(change).some(([name, value]) => name.endsWith("_price") && value !== undefined);
  if (!given) return undefined;
  const inputPrice = change.input_price ?? present?.inputPrice;
  const outputPrice = change.output_price ?? present?.outputPrice;
  if (inputPrice === undefined) throw fieldError("input_price", 'is required with the first prices of a model; "0" makes it free');
  if (outputPrice === undefined) throw fieldError("output_price", 'is required with the first prices of a model; "0" makes it free');
  const optional = (value: bigint | null | undefined, before: bigint | null | undefined) =>
    value === undefined ? (before ?? null) : value;
  return {
    inputPrice,
    outputPrice,
    cachedInputPrice: optional(change.cached_input_price, present?.cachedInputPrice),
    cacheWritePrice: optional(change.cache_write_price, present?.cacheWritePrice),
    cacheWriteLongPrice: optional(change.cache_write_1h_price, present?.cacheWriteLongPrice),
    reasoningPrice: optional(change.reasoning_price, present?.reasoningPrice),
    requestPrice: change.request_price ?? present?.requestPrice ?? 0n,
    imagePrice: change.image_price ?? present?.imagePrice ?? 0n,
    secondPrice: change.second_price ?? present?.secondPrice ?? 0n,
    characterPrice: change.character_price ?? present?.characterPrice ?? 0n,
    searchPrice: change.web_search_price ?? present?.searchPrice ?? 0n,
  };
}

function samePrices(present: PriceVersion | null, next: Prices): boolean {
  return present !== null && (Object.keys(next) as (keyof Prices)[]).every((name) => present[name] === next[name]);
}

/** A name that is taken as a `conflict` that says which field is to blame. */
function takenName(error: unknown): unknown {
  const constraint = uniqueViolation(error);
  if (constraint === "models_pkey") {
    return appError("conflict", {
      message: "name: is taken by another model",
      details: [{ field: "name", message: "is taken" }],
      cause: error,
    });
  }
  if (constraint === "model_names_pkey") {
    const message = "is taken as the name or alias of another model";
    return appError("conflict", {
      message: `name or aliases: ${message}`,
      details: [
        { field: "name", message },
        { field: "aliases", message },
      ],
      cause: error,
    });
  }
  return error;
}

/** Changes of models and prices: each is audited and announced in its own transaction. `changed` is called after the commit. */
export function createModelAdmin(deps: { pool: Pool; changed: () => void }): ModelAdmin {
  async function write(
    actor: Actor,
    action: string,
    work: (tx: PoolClient) => Promise<{ model: ModelRecord; details: Record<string, unknown> }>,
  ): Promise<ModelRecord> {
    try {
      return await inTransaction(deps.pool, async (tx) => {
        const { model, details } = await work(tx);
        await recordAudit(tx, { actorId: actor.userId, action, target: `model:${model.name}`, details, traceId: actor.traceId });
        await announce(tx, "model", model.name);
        return model;
      });
    } catch (error) {
      throw takenName(error);
    } finally {
      deps.changed();
    }
  }

  async function reread(tx: PoolClient, name: string): Promise<ModelRecord> {
    const model = await findModel(tx, name);
    if (!model) throw appError("not_found", { message: "There is no such model" });
    return model;
  }

  return {
    find: (name) => findModel(deps.pool, name),

    create: (given, actor) =>
      write(actor, "model.create", async (tx) => {
        const fields = mergeFields(NEW_FIELDS, given);
        const prices = mergePrices(null, given);
        await insertModel(tx, given.name, fields);
        if (prices) await insertPrice(tx, given.name, prices, { authorId: actor.userId, reason: given.reason ?? null });
        const model = await reread(tx, given.name);
        return {
          model,
          details: { ...fields, prices: prices && presentPrices(prices), reason: given.reason, price_version: model.price?.version },
        };
      }),

    change: (name, change, actor) =>
      write(actor, "model.update", async (tx) => {
        const found = await reread(tx, name);
        await lockModel(tx, found.name);
        const present = await reread(tx, found.name);
        const fields = mergeFields(present, change);
        const prices = mergePrices(present.price, change);
        await updateModel(tx, present.name, fields);
        const repriced = prices !== undefined && !samePrices(present.price, prices);
        if (repriced) await insertPrice(tx, present.name, prices, { authorId: actor.userId, reason: change.reason ?? null });
        const model = await reread(tx, present.name);
        const details = {
          ...fields,
          ...(repriced ? { prices: presentPrices(prices), before: present.price && presentPrices(present.price) } : {}),
          reason: change.reason,
          price_version: model.price?.version,
        };
        return { model, details };
      }),
  };
}
