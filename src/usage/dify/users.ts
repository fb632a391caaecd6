import { recordAudit } from "../../admin/audit.ts";
import { appError, fieldError } from "../../platform/errors.ts";
import { announce } from "../../platform/invalidation.ts";
import { inTransaction, uniqueViolation, type Pool, type PoolClient } from "../../platform/postgres.ts";
import type { Operator } from "./inbox.ts";
import type { AccountsOf } from "./payers.ts";

/** An id of Dify's side that stands for an account here. */
export interface Mapping {
  external_id: string;
  user_id: string;
  note: string | null;
  created_at: string;
  updated_at: string;
}

interface MappingRow extends Omit<Mapping, "created_at" | "updated_at"> {
  created_at: Date;
  updated_at: Date;
}

const COLUMNS = "external_id, user_id, note, created_at, updated_at";
const shown = (row: MappingRow): Mapping => ({
  ...row,
  created_at: row.created_at.toISOString(),
  updated_at: row.updated_at.toISOString(),
});

/** One row of an import. */
export interface MappingInput {
  external_id: string;
  user_id: string;
  note?: string | undefined;
}

/** Who the users of Dify are. Each change is audited and counts on every copy at once. */
export interface Mappings {
  list(
    filter: { q?: string | undefined; user?: string | undefined },
    page: { page: number; page_size: number },
  ): Promise<{ items: Mapping[]; total: number }>;
  /** Throws `conflict` when the id is mapped already, `validation_failed` when there is no such account. */
  create(operator: Operator, mapping: MappingInput): Promise<Mapping>;
  /** Throws `not_found`, or `validation_failed` when there is no such account. */
  change(
    operator: Operator,
    externalId: string,
    change: { user_id?: string | undefined; note?: string | null | undefined },
  ): Promise<Mapping>;
  /** Throws `not_found`. */
  remove(operator: Operator, externalId: string): Promise<void>;
  /** All or nothing: adds what is new and changes what differs. Throws `validation_failed` that names each row without an account. */
  import(
    operator: Operator,
    rows: readonly (MappingInput & { line: number })[],
  ): Promise<{ added: number; changed: number; unchanged: number }>;
}

/** Creates the mappings. `changed` is called after each commit. */
export function createMappings(deps: { pool: Pool; accountsOf: AccountsOf; changed: () => void }): Mappings {
  const { pool, accountsOf, changed } = deps;

  async function checkAccount(userId: string): Promise<void> {
    if ((await accountsOf([userId])).length === 0) throw fieldError("user_id", "is not an account");
  }

  /** `about`: the account that is concerned, or `*`. */
  async function write<T>(
    operator: Operator,
    entry: { action: string; target: string; details: Record<string, unknown>; about: string },
    work: (tx: PoolClient) => Promise<T>,
  ): Promise<T> {
    const { about, ...audit } = entry;
    const result = await inTransaction(pool, async (tx) => {
      const done = await work(tx);
      await recordAudit(tx, { actorId: operator.userId, ...audit, traceId: operator.traceId });
      await announce(tx, "user", about);
      return done;
    });
    changed();
    return result;
  }

  return {
    async list({ q, user }, { page, page_size }) {
      const where = "WHERE ($1::text IS NULL OR strpos(lower(external_id), lower($1)) > 0) AND ($2::uuid IS NULL OR user_id = $2)";
      const values = [q ?? null, user ?? null];
      const [count, list] = await Promise.all([
        pool.query<{ total: bigint }>(`SELECT count(*) AS total FROM dify_users ${where}`, values),
        pool.query<MappingRow>(`SELECT ${COLUMNS} FROM dify_users ${where} ORDER BY external_id LIMIT $3 OFFSET $4`, [
          ...values,
          page_size,
          (page - 1) * page_size,
        ]),
      ]);
      return { items: list.rows.map(shown), total: Number(count.rows[0]!.total) };
    },

    async create(operator, mapping) {
      await checkAccount(mapping.user_id);
      try {
        return await write(
          operator,
          {
            action: "dify.map_user",
            target: `dify_user:${mapping.external_id}`,
            details: { user_id: mapping.user_id, note: mapping.note },
            about: mapping.user_id,
          },
          async (tx) => {
            const { rows } = await tx.query<MappingRow>(
              `INSERT INTO dify_users (external_id, user_id, note, author_id) VALUES ($1, $2, $3, $4) RETURNING ${COLUMNS}`,
              [mapping.external_id, mapping.user_id, mapping.note ?? null, operator.userId],
            );
            return shown(rows[0]!);
          },
        );
      } catch (error) {
        if (uniqueViolation(error)) throw appError("conflict", { message: "This id is mapped already", cause: error });
        throw error;
      }
    },

    async change(operator, externalId, change) {
      if (change.user_id !== undefined) await checkAccount(change.user_id);
      return write(
        operator,
        { action: "dify.change_user", target: `dify_user:${externalId}`, details: change, about: change.user_id ?? "*" },
        async (tx) => {
          const { rows } = await tx.query<MappingRow>(
            `UPDATE dify_users SET user_id = coalesce($2, user_id), note = CASE WHEN $3 THEN $4 ELSE note END, author_id = $5, updated_at = now()
           WHERE external_id = $1 RETURNING ${COLUMNS}`,
            [externalId, change.user_id ?? null, change.note !== undefined, change.note ?? null, operator.userId],
          );
          if (!rows[0]) throw appError("not_found", { message: "This id is not mapped" });
          return shown(rows[0]);
        },
      );
    },

    async remove(operator, externalId) {
      await write(operator, { action: "dify.unmap_user", target: `dify_user:${externalId}`, details: {}, about: "*" }, async (tx) => {
        const { rowCount } = await tx.query("DELETE FROM dify_users WHERE external_id = $1", [externalId]);
        if (rowCount === 0) throw appError("not_found", { message: "This id is not mapped" });
      });
    },

    async import(operator, rows) {
      const accounts = new Set((await accountsOf([...new Set(rows.map(({ user_id }) => user_id))])).map(({ userId }) => userId));
      const problems = rows
        .filter(({ user_id }) => !accounts.has(user_id))
        .map(({ line }) => ({ field: `line ${line}`, message: "user_id is not an account" }));
      if (problems.length > 0) throw appError("validation_failed", { message: "Some rows name no account", details: problems });
      return write(
        operator,
        { action: "dify.import_users", target: "dify_users", details: { rows: rows.length }, about: "*" },
        async (tx) => {
          const { rows: written } = await tx.query<{ added: boolean }>(
            `INSERT INTO dify_users AS d (external_id, user_id, note, author_id)
           SELECT q.external_id, q.user_id, q.note, $4 FROM unnest($1::text[], $2::uuid[], $3::text[]) AS q (external_id, user_id, note)
           ON CONFLICT (external_id) DO UPDATE SET user_id = excluded.user_id, note = coalesce(excluded.note, d.note), author_id = $4, updated_at = now()
             WHERE d.user_id <> excluded.user_id OR coalesce(excluded.note, d.note) IS DISTINCT FROM d.note
           RETURNING xmax = 0 AS added`,
            [rows.map((row) => row.external_id), rows.map((row) => row.user_id), rows.map((row) => row.note ?? null), operator.userId],
          );
          const added = written.filter((row) => row.added).length;
          return { added, changed: written.length - added, unchanged: rows.length - written.length };
        },
      );
    },
  };
}
