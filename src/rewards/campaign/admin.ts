import { recordAudit } from "../../admin/audit.ts";
import { appError, fieldError } from "../../platform/errors.ts";
import { formatCredits } from "../../platform/credits.ts";
import { uuidv7 } from "../../platform/ids.ts";
import { inTransaction, uniqueViolation, type Pool, type PoolClient } from "../../platform/postgres.ts";
import { deleteCampaign, insertCampaign, lockCampaign, updateCampaign, type CampaignFields } from "./repository.ts";
import type { CampaignRow } from "./rules.ts";

interface Actor {
  userId: string;
  traceId: string;
}

/** Operators' changes of campaigns, each in one transaction with its audit entry. */
export interface CampaignAdmin {
  /** Throws `conflict` for a code that is taken. */
  create(actor: Actor, fields: CampaignFields): Promise<CampaignRow>;
  /** Throws `not_found`, `conflict`, or `validation_failed` for a budget below what was paid. */
  update(actor: Actor, id: string, changes: Partial<CampaignFields>): Promise<CampaignRow>;
  /** Throws `not_found`, or `invalid_state` for one that has paid something: it can be ended. */
  remove(actor: Actor, id: string): Promise<void>;
}

const noSuch = () => appError("not_found", { message: "There is no such campaign" });

/** Amounts and times as text, for the audit log. */
function shown(fields: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === "bigint" ? formatCredits(value) : value]),
  );
}

export function createCampaignAdmin({ pool }: { pool: Pool }): CampaignAdmin {
  async function change<T>(work: (tx: PoolClient) => Promise<T>): Promise<T> {
    try {
      return await inTransaction(pool, work);
    } catch (error) {
      if (uniqueViolation(error) !== "campaigns_code") throw error;
      throw appError("conflict", { message: "code: is taken", details: [{ field: "code", message: "is taken" }] });
    }
  }

  const note = (tx: PoolClient, actor: Actor, action: string, id: string, details: object) =>
    recordAudit(tx, { actorId: actor.userId, action, target: `campaign:${id}`, details: shown(details), traceId: actor.traceId });

  return {
    create: (actor, fields) =>
      change(async (tx) => {
        const made = await insertCampaign(tx, uuidv7(), fields);
        await note(tx, actor, "campaign.create", made.id, fields);
        return made;
      }),

    update: (actor, id, changes) =>
      change(async (tx) => {
        const present = await lockCampaign(tx, id);
        if (!present) throw noSuch();
        const wanted = { ...present, ...changes };
        if (wanted.ends_at <= wanted.starts_at) throw fieldError("ends_at", "must be after starts_at");
        if (wanted.budget < present.paid) throw fieldError("budget", `must not be below what was paid, ${formatCredits(present.paid)}`);
        const made = await updateCampaign(tx, id, wanted);
        await note(tx, actor, "campaign.update", id, changes);
        return made;
      }),

    remove: (actor, id) =>
      change(async (tx) => {
        const present = await lockCampaign(tx, id);
        if (!present) throw noSuch();
        if (!(await deleteCampaign(tx, id))) throw appError("invalid_state", { message: "It has paid rewards: end it instead" });
        await note(tx, actor, "campaign.delete", id, { code: present.code, name: present.name });
      }),
  };
}
