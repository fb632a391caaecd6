import { recordAudit } from "../../admin/audit.ts";
import { appError, fieldError } from "../../platform/errors.ts";
import { announce } from "../../platform/invalidation.ts";
import { inTransaction, type Pool } from "../../platform/postgres.ts";
import * as repository from "./repository.ts";
import type { PlanFields, PlanRow } from "./repository.ts";
import { presentPlan, type NewPlan, type PlanChange } from "./schema.ts";

/** Who acts, for the audit log. */
export interface Actor {
  userId: string;
  traceId: string;
}

export interface PlanAdmin {
  /** Throws `conflict` when the name is taken. */
  create(plan: NewPlan, actor: Actor): Promise<PlanRow>;
  /** A new version with what is given changed; in force on every copy at once, for subscribers from when the plan says. Throws `not_found`. */
  change(name: string, change: PlanChange, actor: Actor): Promise<PlanRow>;
}

/** Changes of plans: each version, its audit entry and its announcement in one transaction. */
export function createPlanAdmin({ pool }: { pool: Pool }): PlanAdmin {
  async function write(
    work: (tx: Parameters<Parameters<typeof inTransaction>[1]>[0]) => Promise<{ row: PlanRow; action: string }>,
    actor: Actor,
  ) {
    return inTransaction(pool, async (tx) => {
      const { row, action } = await work(tx);
      const details = presentPlan(row);
      await recordAudit(tx, { actorId: actor.userId, action, target: `plan:${row.name}`, details, traceId: actor.traceId });
      await announce(tx, "settings", "tiers");
      return row;
    });
  }

  return {
    create: ({ name, position, price, reason, ...fields }, actor) =>
      write(async (tx) => {
        if (!(await repository.insertPlan(tx, { name, position }))) {
          throw appError("conflict", { message: "name: is taken", details: [{ field: "name", message: "is taken" }] });
        }
        const by = { authorId: actor.userId, reason: reason ?? null };
        await repository.insertVersion(tx, name, 1, { ...fields, price_fen: price }, by);
        return { row: (await repository.findPlan(tx, name))!, action: "plan.create" };
      }, actor),

    change: (name, { status, standard, position, price, reason, ...given }, actor) =>
      write(async (tx) => {
        const present = await repository.lockPlan(tx, name);
        if (!present) throw appError("not_found", { message: "There is no such plan" });
        if (status === "retired" && (standard ?? present.standard)) throw fieldError("status", "the standard plan cannot be retired");
        await repository.updatePlan(tx, {
          name,
          position: position ?? present.position,
          status: status ?? present.status,
          standard: standard ?? present.standard,
        });
        if (price !== undefined || Object.keys(given).length > 0) {
          const fields = { ...fieldsOf(present), ...(price === undefined ? {} : { price_fen: price }), ...given } as PlanFields;
          await repository.insertVersion(tx, name, present.version + 1, fields, { authorId: actor.userId, reason: reason ?? null });
        }
        return { row: (await repository.findPlan(tx, name))!, action: "plan.change" };
      }, actor),
  };
}

function fieldsOf(row: PlanRow): PlanFields {
  const { display_name, description, price_fen, allowance, limits, weights, reset_day, time_zone, change_takes_effect } = row;
  return { display_name, description, price_fen, allowance, limits, weights, reset_day, time_zone, change_takes_effect };
}
