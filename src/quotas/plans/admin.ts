import { recordAudit } from "../../admin/audit.ts";
import { appError, fieldError } from "../../platform/errors.ts";
import { announce } from "../../platform/invalidation.ts";
import { systemClock, type Clock } from "../../platform/clock.ts";
import { inTransaction, type Pool, type PoolClient } from "../../platform/postgres.ts";
import { changedTerms, sameList, termsFrom } from "../termChanges.ts";
import { readBook, replaceStandard } from "./book.ts";
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
  /**
   * A new version with what is given changed; in force on every copy at once, for subscribers from when the plan says. Another standard plan,
   * or another day or zone of it, is a new term of those who have it: what they had until then stays as it was. Throws `not_found`.
   */
  change(name: string, change: PlanChange, actor: Actor): Promise<PlanRow>;
}

/** Changes of plans: each version, its audit entry and its announcement in one transaction. */
export function createPlanAdmin({ pool, clock = systemClock }: { pool: Pool; clock?: Clock }): PlanAdmin {
  async function write(work: (tx: PoolClient) => Promise<{ row: PlanRow; action: string }>, actor: Actor) {
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
        const by = { authorId: actor.userId, reason: reason ?? null, at: clock.now() };
        await repository.insertVersion(tx, name, 1, { ...fields, price_fen: price }, by);
        return { row: (await repository.findPlan(tx, name))!, action: "plan.create" };
      }, actor),

    change: (name, { status, standard, position, price, reason, ...given }, actor) =>
      write(async (tx) => {
        const present = await repository.lockPlan(tx, name);
        if (!present) throw appError("not_found", { message: "There is no such plan" });
        const by = { authorId: actor.userId, reason: reason ?? null, at: clock.now() };
        if (status === "retired" && (standard ?? present.standard)) throw fieldError("status", "the standard plan cannot be retired");
        await repository.updatePlan(tx, {
          name,
          position: position ?? present.position,
          status: status ?? present.status,
          standard: standard ?? present.standard,
        });
        if (price !== undefined || Object.keys(given).length > 0) {
          const fields = { ...fieldsOf(present), ...(price === undefined ? {} : { price_fen: price }), ...given } as PlanFields;
          await repository.insertVersion(tx, name, present.version + 1, fields, by);
        }
        const row = (await repository.findPlan(tx, name))!;
        if (row.standard) await changeStandard(tx, row, standard === true && row.change_takes_effect === "now", by);
        return { row, action: "plan.change" };
      }, actor),
  };
}

/** Makes a plan, as its newest version describes it, the standard one: from now or from the next period. */
async function changeStandard(
  tx: PoolClient,
  plan: PlanRow,
  atOnce: boolean,
  by: { authorId: string; reason: string | null; at: Date },
): Promise<void> {
  const { standard: before } = await readBook(tx);
  const nowMs = by.at.getTime();
  const to = { plan: plan.name, resetDay: plan.reset_day, timeZone: plan.time_zone, atOnce };
  const after = changedTerms(before, to, nowMs);
  if (sameList(after, before)) return;
  await replaceStandard(tx, nowMs, termsFrom(after, nowMs), by);
}

function fieldsOf(row: PlanRow): PlanFields {
  const { display_name, description, price_fen, allowance, limits, weights, reset_day, time_zone, change_takes_effect } = row;
  return { display_name, description, price_fen, allowance, limits, weights, reset_day, time_zone, change_takes_effect };
}
