import { recordAudit } from "../../admin/audit.ts";
import { appError, fieldError } from "../../platform/errors.ts";
import { uuidv7 } from "../../platform/ids.ts";
import { announce } from "../../platform/invalidation.ts";
import { inTransaction, uniqueViolation, type Pool, type PoolClient } from "../../platform/postgres.ts";
import type { Actor } from "../admin.ts";
import { formatMultiplier } from "../price.ts";
import { findModel } from "../repository.ts";
import { findRule, insertRule, type RuleFields, type RuleStatus, type RuleVersion } from "./repository.ts";
import { presentWindow, type NewRule, type RuleChange } from "./schema.ts";

export interface MultiplierAdmin {
  /** Throws `validation_failed` for a model or tier that is not there. */
  create(rule: NewRule, actor: Actor): Promise<RuleVersion>;
  /** A new version with what is given changed. Throws `not_found`, or `conflict` when somebody else changed the rule meanwhile. */
  change(rule: string, change: RuleChange, actor: Actor): Promise<RuleVersion>;
  /** A last version: the rule holds no more. */
  remove(rule: string, actor: Actor): Promise<void>;
}

/** A rule as answers and the audit log show it. */
export const presentRule = (rule: RuleVersion) => ({
  id: rule.rule,
  version: rule.version,
  name: rule.name,
  multiplier: formatMultiplier(rule.multiplier),
  tier: rule.tier,
  key_group: rule.keyGroup,
  model: rule.model,
  window: presentWindow(rule.window),
  status: rule.status,
  author_id: rule.authorId,
  reason: rule.reason,
  created_at: rule.createdAt.toISOString(),
});

/** Changes of multipliers, each a version of its own: audited and announced in its transaction. `changed` is called after the commit. */
export function createMultiplierAdmin(deps: {
  pool: Pool;
  tierExists: (name: string) => Promise<boolean>;
  changed: () => void;
}): MultiplierAdmin {
  async function merge(tx: PoolClient, present: RuleFields | undefined, change: RuleChange, status: RuleStatus): Promise<RuleFields> {
    const given = <T>(value: T | null | undefined, before: T | null | undefined) => (value === undefined ? (before ?? null) : value);
    const model = change.model ? await findModel(tx, change.model) : undefined;
    if (change.model && !model) throw fieldError("model", "is not a model");
    if (change.tier && !(await deps.tierExists(change.tier))) throw fieldError("tier", "is not a tier");
    return {
      name: change.name ?? present!.name,
      multiplier: change.multiplier ?? present!.multiplier,
      tier: given(change.tier, present?.tier),
      keyGroup: given(change.key_group, present?.keyGroup),
      model: given(change.model === undefined ? undefined : (model?.name ?? null), present?.model),
      window: given(change.window, present?.window),
      status,
    };
  }

  async function write(
    actor: Actor,
    action: string,
    reason: string | undefined,
    work: (tx: PoolClient) => Promise<{ rule: string; version: number; fields: RuleFields }>,
  ): Promise<RuleVersion> {
    try {
      return await inTransaction(deps.pool, async (tx) => {
        const { rule, version, fields } = await work(tx);
        const made = await insertRule(tx, rule, version, fields, { authorId: actor.userId, reason: reason ?? null });
        await recordAudit(tx, {
          actorId: actor.userId,
          action,
          target: `multiplier:${rule}`,
          details: presentRule(made),
          traceId: actor.traceId,
        });
        await announce(tx, "model", fields.model ?? "*");
        return made;
      });
    } catch (error) {
      if (uniqueViolation(error)) throw appError("conflict", { message: "Somebody else has just changed this multiplier", cause: error });
      throw error;
    } finally {
      deps.changed();
    }
  }

  async function present(tx: PoolClient, rule: string): Promise<RuleVersion> {
    const found = await findRule(tx, rule);
    if (!found || found.status === "removed") throw appError("not_found", { message: "There is no such multiplier" });
    return found;
  }

  return {
    create: (given, actor) =>
      write(actor, "multiplier.create", given.reason, async (tx) => ({
        rule: uuidv7(),
        version: 1,
        fields: await merge(tx, undefined, given, given.status ?? "active"),
      })),
    change: (rule, change, actor) =>
      write(actor, "multiplier.update", change.reason, async (tx) => {
        const before = await present(tx, rule);
        return { rule, version: before.version + 1, fields: await merge(tx, before, change, change.status ?? before.status) };
      }),
    async remove(rule, actor) {
      await write(actor, "multiplier.remove", undefined, async (tx) => {
        const before = await present(tx, rule);
        return { rule, version: before.version + 1, fields: { ...before, status: "removed" } };
      });
    },
  };
}
