import { recordAudit } from "../../admin/audit.ts";
import { appError } from "../../platform/errors.ts";
import { randomText } from "../../platform/ids.ts";
import { inTransaction, uniqueViolation, type Pool } from "../../platform/postgres.ts";
import { sha256, type SecretBox } from "../../platform/secrets.ts";
import { insertSource, updateSource, type SourceRow } from "./repository.ts";

interface Actor {
  userId: string;
  traceId: string;
}

/** What a source proves itself with; shown once. */
export interface Credentials {
  api_key: string;
  secret: string;
}

/** Operators' changes of sources, each in one transaction with its audit entry. */
export interface SourceAdmin {
  /** Throws `conflict` for a name that is taken. */
  create(actor: Actor, source: { name: string; description: string | null }): Promise<{ source: SourceRow; credentials: Credentials }>;
  /** Throws `not_found`. */
  change(
    actor: Actor,
    name: string,
    change: { description?: string | null | undefined; status?: SourceRow["status"] | undefined },
  ): Promise<SourceRow>;
  /** A new key and secret in place of the old ones, at once. Throws `not_found`. */
  rotate(actor: Actor, name: string): Promise<{ source: SourceRow; credentials: Credentials }>;
}

const fresh = (): Credentials => ({ api_key: `sk-src-${randomText(43)}`, secret: `srcsec_${randomText(43)}` });

export function createSourceAdmin({ pool, secretBox }: { pool: Pool; secretBox: SecretBox }): SourceAdmin {
  const stored = ({ api_key, secret }: Credentials) => ({ key_hash: sha256(api_key), secret: secretBox.seal(secret) });

  async function update(
    { userId: actorId, traceId }: Actor,
    name: string,
    change: Parameters<typeof updateSource>[2],
    action: string,
    details: Record<string, unknown>,
  ): Promise<SourceRow> {
    return inTransaction(pool, async (tx) => {
      const source = await updateSource(tx, name, change);
      if (!source) throw appError("not_found", { message: "There is no such source" });
      await recordAudit(tx, { actorId, action, target: `usage_source:${name}`, details, traceId });
      return source;
    });
  }

  return {
    async create({ userId: actorId, traceId }, { name, description }) {
      const credentials = fresh();
      try {
        const source = await inTransaction(pool, async (tx) => {
          const made = await insertSource(tx, { name, description, ...stored(credentials) });
          await recordAudit(tx, {
            actorId,
            action: "usage_source.create",
            target: `usage_source:${name}`,
            details: { description },
            traceId,
          });
          return made;
        });
        return { source, credentials };
      } catch (error) {
        if (uniqueViolation(error) === undefined) throw error;
        throw appError("conflict", { message: "name: is taken", details: [{ field: "name", message: "is taken" }] });
      }
    },

    change: (actor, name, { description, status }) => {
      const change = { ...(description === undefined ? {} : { description }), ...(status === undefined ? {} : { status }) };
      return update(actor, name, change, "usage_source.update", change);
    },

    async rotate(actor, name) {
      const credentials = fresh();
      return { source: await update(actor, name, stored(credentials), "usage_source.rotate", {}), credentials };
    },
  };
}
