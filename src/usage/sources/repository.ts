import type { Queryable } from "../../platform/postgres.ts";

/** A platform that reports usage. */
export interface SourceRow {
  name: string;
  description: string | null;
  /** SHA-256 of its key. */
  key_hash: string;
  /** Sealed. */
  secret: string;
  status: "active" | "disabled";
  created_at: Date;
  updated_at: Date;
}

export async function insertSource(
  tx: Queryable,
  source: Pick<SourceRow, "name" | "description" | "key_hash" | "secret">,
): Promise<SourceRow> {
  const { rows } = await tx.query<SourceRow>(
    "INSERT INTO usage_sources (name, description, key_hash, secret) VALUES ($1, $2, $3, $4) RETURNING *",
    [source.name, source.description, source.key_hash, source.secret],
  );
  return rows[0]!;
}

/** Changes what is given; undefined when there is no such source. */
export async function updateSource(
  tx: Queryable,
  name: string,
  change: Partial<Pick<SourceRow, "description" | "key_hash" | "secret" | "status">>,
): Promise<SourceRow | undefined> {
  const { rows } = await tx.query<SourceRow>(
    `UPDATE usage_sources SET description = CASE WHEN $2 THEN $3 ELSE description END, key_hash = coalesce($4, key_hash),
       secret = coalesce($5, secret), status = coalesce($6, status), updated_at = now() WHERE name = $1 RETURNING *`,
    [name, change.description !== undefined, change.description ?? null, change.key_hash, change.secret, change.status],
  );
  return rows[0];
}

export async function findSource(db: Queryable, name: string): Promise<SourceRow | undefined> {
  const { rows } = await db.query<SourceRow>("SELECT * FROM usage_sources WHERE name = $1", [name]);
  return rows[0];
}

export async function listSources(db: Queryable): Promise<SourceRow[]> {
  const { rows } = await db.query<SourceRow>("SELECT * FROM usage_sources ORDER BY name");
  return rows;
}
