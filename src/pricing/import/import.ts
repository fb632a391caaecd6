import { createHash } from "node:crypto";
import { recordAudit } from "../../admin/audit.ts";
import { appError } from "../../platform/errors.ts";
import { announce } from "../../platform/invalidation.ts";
import { inTransaction, uniqueViolation, type Pool, type PoolClient } from "../../platform/postgres.ts";
import type { Actor } from "../admin.ts";
import { allModels, insertModel, insertPrice, updateModel, type ModelRecord } from "../repository.ts";
import { planImport, type Plan, type PlannedRow } from "./plan.ts";
import type { ImportRow } from "./rows.ts";

export interface ImportOutcome {
  /** Says what the list was compared with, and what with. */
  revision: string;
  plan: Plan;
}

export interface PriceImport {
  /** What the rows would change. Changes nothing. */
  preview(rows: readonly ImportRow[]): Promise<ImportOutcome>;
  /**
   * Changes it, all or nothing. Throws `validation_failed` when a row is invalid, and `conflict` when models or prices, or the rows, are
   * not those of the preview with this revision. Rows that ask for what is there already change nothing, whatever the revision.
   */
  apply(rows: readonly ImportRow[], options: { revision: string | undefined; reason: string | null }, actor: Actor): Promise<ImportOutcome>;
}

function revisionOf(models: readonly ModelRecord[], rows: readonly ImportRow[]): string {
  const state = models.map(({ createdAt: _made, updatedAt: _changed, safetyPercent: _shown, price, ...model }) => [
    model,
    price ? price.id.toString() : null,
  ]);
  return createHash("sha256")
    .update(JSON.stringify([state, rows]))
    .digest("hex")
    .slice(0, 32);
}

const detailsOf = ({ changes, line }: PlannedRow, revision: string, reason: string | null) => ({ import: revision, line, changes, reason });

/** Imports of price lists. `changed` is called after the commit. */
export function createPriceImport(deps: { pool: Pool; changed: () => void }): PriceImport {
  async function write(tx: PoolClient, row: PlannedRow, by: { authorId: string | null; reason: string | null }): Promise<void> {
    if (row.before) await updateModel(tx, row.model, row.fields);
    else await insertModel(tx, row.model, row.fields);
    if (row.prices) await insertPrice(tx, row.model, row.prices, by);
  }

  return {
    async preview(rows) {
      const models = await allModels(deps.pool);
      return { revision: revisionOf(models, rows), plan: planImport(rows, models) };
    },
    async apply(rows, { revision: expected, reason }, actor) {
      try {
        return await inTransaction(deps.pool, async (tx) => {
          const models = await allModels(tx, { lock: true });
          const plan = planImport(rows, models);
          const revision = revisionOf(models, rows);
          if (plan.invalid.length > 0) {
            const details = plan.invalid.flatMap(({ line, problems }) =>
              problems.map(({ field, message }) => ({ field: `line ${line}: ${field}`, message })),
            );
            throw appError("validation_failed", { message: `${plan.invalid.length} rows are not valid; nothing was changed`, details });
          }
          const writes = [...plan.added, ...plan.changed];
          if (writes.length === 0) return { revision, plan };
          if (expected !== revision) {
            const message = expected
              ? "Prices or the list have changed since the preview; look at it again"
              : "Send the revision of a preview";
            throw appError("conflict", { message, details: { revision } });
          }
          for (const row of writes) await write(tx, row, { authorId: actor.userId, reason });
          for (const row of writes) {
            const action = row.before ? "model.update" : "model.create";
            const details = detailsOf(row, revision, reason);
            await recordAudit(tx, { actorId: actor.userId, action, target: `model:${row.model}`, details, traceId: actor.traceId });
          }
          await announce(tx, "model", "*");
          return { revision, plan };
        });
      } catch (error) {
        if (uniqueViolation(error))
          throw appError("conflict", { message: "A model was added meanwhile; look at the preview again", cause: error });
        throw error;
      } finally {
        deps.changed();
      }
    },
  };
}
