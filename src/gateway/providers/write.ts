import { recordAudit } from "../../admin/audit.ts";
import { appError } from "../../platform/errors.ts";
import { announce } from "../../platform/invalidation.ts";
import { inTransaction, uniqueViolation, type Pool, type PoolClient } from "../../platform/postgres.ts";

/** Who changes something; nobody when the program itself does. */
export interface Actor {
  userId: string | null;
  traceId: string | null;
}

/** What a change did: its line in the audit log beside its result. `id` is the provider's. */
export interface Written<T> {
  result: T;
  action: string;
  id: string;
  details: Record<string, unknown>;
}

/** Makes one change of a provider in one transaction. */
export type Write = <T>(actor: Actor, work: (tx: PoolClient) => Promise<Written<T>>) => Promise<T>;

/** Every change is audited and announced in its own transaction; `changed` is called when it is over, however it ended. */
export function createWriter(pool: Pool, changed: () => void): Write {
  return async (actor, work) => {
    try {
      return await inTransaction(pool, async (tx) => {
        const { result, action, id, details } = await work(tx);
        await recordAudit(tx, { actorId: actor.userId, action, target: `provider:${id}`, details, traceId: actor.traceId });
        await announce(tx, "provider", id);
        return result;
      });
    } catch (error) {
      if (uniqueViolation(error) === "provider_models_name") {
        const message = "is served by this provider already";
        throw appError("conflict", { message: `model_name: ${message}`, details: [{ field: "model_name", message }], cause: error });
      }
      throw error;
    } finally {
      changed();
    }
  };
}

export const noProvider = () => appError("not_found", { message: "There is no such provider" });
