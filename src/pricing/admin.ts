import { recordAudit } from "../admin/audit.ts";
import { appError } from "../platform/errors.ts";
import { announce } from "../platform/invalidation.ts";
import { inTransaction, uniqueViolation, type Pool, type PoolClient } from "../platform/postgres.ts";
import { mergeFields, mergePrices, NEW_FIELDS, samePrices } from "./merge.ts";
import { presentPrices } from "./present.ts";
import { findModel, insertModel, insertPrice, lockModel, updateModel, type ModelRecord } from "./repository.ts";
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
