import type { Queryable } from "../platform/postgres.ts";
import type { FileKind, FileRecord, FileState, StorageQuota } from "./types.ts";

interface Row {
  id: string;
  owner_id: string;
  kind: FileKind;
  name: string;
  content_type: string;
  size: bigint;
  sha256: string | null;
  object_key: string;
  state: FileState;
  upload_id: string | null;
  part_size: bigint | null;
  etag: string | null;
  reason: string | null;
  task_id: string | null;
  created_at: Date;
  ready_at: Date | null;
  due_at: Date | null;
}

const COLUMNS =
  "id, owner_id, kind, name, content_type, size, sha256, object_key, state, upload_id, part_size, etag, reason, task_id, created_at, ready_at, due_at";

const recordOf = (row: Row): FileRecord => ({
  id: row.id,
  ownerId: row.owner_id,
  kind: row.kind,
  name: row.name,
  contentType: row.content_type,
  size: Number(row.size),
  sha256: row.sha256,
  objectKey: row.object_key,
  state: row.state,
  uploadId: row.upload_id,
  partSize: row.part_size === null ? null : Number(row.part_size),
  etag: row.etag,
  reason: row.reason,
  taskId: row.task_id,
  createdAt: row.created_at,
  readyAt: row.ready_at,
  dueAt: row.due_at,
});

async function one(db: Queryable, text: string, values: unknown[]): Promise<FileRecord | undefined> {
  const { rows } = await db.query<Row>(text, values);
  return rows[0] && recordOf(rows[0]);
}

/** What a new row says; `dueMs` from now. */
export interface NewFile extends Pick<FileRecord, "id" | "ownerId" | "kind" | "name" | "contentType" | "size" | "sha256" | "objectKey"> {
  partSize?: number;
  taskId?: string;
  storeKey?: string;
  dueMs: number;
}

export async function insertFile(db: Queryable, file: NewFile): Promise<FileRecord> {
  const made = await one(
    db,
    `INSERT INTO files (id, owner_id, kind, name, content_type, size, sha256, object_key, part_size, task_id, store_key, due_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() + make_interval(secs => $12::float8 / 1000)) RETURNING ${COLUMNS}`,
    [
      file.id,
      file.ownerId,
      file.kind,
      file.name,
      file.contentType,
      file.size,
      file.sha256,
      file.objectKey,
      file.partSize ?? null,
      file.taskId ?? null,
      file.storeKey ?? null,
      file.dueMs,
    ],
  );
  return made!;
}

/** A file that its owner can see. */
export const findFile = (db: Queryable, ownerId: string, id: string): Promise<FileRecord | undefined> =>
  one(db, `SELECT ${COLUMNS} FROM files WHERE id = $1 AND owner_id = $2 AND state <> 'removing'`, [id, ownerId]);

export const findAny = (db: Queryable, id: string): Promise<FileRecord | undefined> =>
  one(db, `SELECT ${COLUMNS} FROM files WHERE id = $1`, [id]);

export const findStored = (db: Queryable, storeKey: string): Promise<FileRecord | undefined> =>
  one(db, `SELECT ${COLUMNS} FROM files WHERE store_key = $1 AND state = 'ready'`, [storeKey]);

export async function noteUpload(db: Queryable, id: string, uploadId: string): Promise<boolean> {
  const { rowCount } = await db.query("UPDATE files SET upload_id = $2 WHERE id = $1 AND state = 'uploading'", [id, uploadId]);
  return rowCount === 1;
}

/** `from` → checking or ready, once; undefined when somebody else was first. */
export const markWhole = (
  db: Queryable,
  id: string,
  change: { from: "uploading" | "checking"; to: "checking" | "ready"; etag: string },
): Promise<FileRecord | undefined> =>
  one(
    db,
    `UPDATE files SET state = $3, etag = $4, due_at = NULL, ready_at = CASE WHEN $3 = 'ready' THEN now() END
     WHERE id = $1 AND state = $2 RETURNING ${COLUMNS}`,
    [id, change.from, change.to, change.etag],
  );

/** An unfinished file → rejected, once; its owner sees why until `keptMs` are over. */
export const markRejected = (db: Queryable, id: string, reason: string, keptMs: number): Promise<FileRecord | undefined> =>
  one(
    db,
    `UPDATE files SET state = 'rejected', reason = $2, due_at = now() + make_interval(secs => $3::float8 / 1000)
     WHERE id = $1 AND state IN ('uploading', 'checking') RETURNING ${COLUMNS}`,
    [id, reason, keptMs],
  );

/** Nobody sees the file from now on; its row goes after `dueMs`. Undefined when there was nothing to see. */
export const markRemoving = (db: Queryable, id: string, dueMs: number, ownerId?: string): Promise<FileRecord | undefined> =>
  one(
    db,
    `UPDATE files SET state = 'removing', due_at = now() + make_interval(secs => $2::float8 / 1000)
     WHERE id = $1 AND state <> 'removing' AND ($3::uuid IS NULL OR owner_id = $3) RETURNING ${COLUMNS}`,
    [id, dueMs, ownerId ?? null],
  );

/** The same for everything a task made. */
export async function markTaskRemoving(db: Queryable, taskId: string): Promise<number> {
  const { rowCount } = await db.query("UPDATE files SET state = 'removing', due_at = now() WHERE task_id = $1 AND state <> 'removing'", [
    taskId,
  ]);
  return rowCount ?? 0;
}

export async function deleteRow(db: Queryable, id: string): Promise<void> {
  await db.query("DELETE FROM files WHERE id = $1 AND state = 'removing'", [id]);
}

/** Files whose time is over, the longest first; those with an id in `passed` are left out. */
export async function dueFiles(db: Queryable, passed: readonly string[], limit: number): Promise<FileRecord[]> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM files WHERE due_at <= now() AND id <> ALL ($1::uuid[]) ORDER BY due_at LIMIT $2`,
    [passed, limit],
  );
  return rows.map(recordOf);
}

/** Files that have waited longer than this for somebody to read them. */
export async function waitingChecks(db: Queryable, olderMs: number, limit: number): Promise<FileRecord[]> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM files WHERE state = 'checking' AND created_at < now() - make_interval(secs => $1::float8 / 1000)
     ORDER BY created_at LIMIT $2`,
    [olderMs, limit],
  );
  return rows.map(recordOf);
}

/** What an account stores. */
export async function usageOf(db: Queryable, ownerId: string): Promise<StorageQuota> {
  const { rows } = await db.query<{ bytes: bigint; files: number }>("SELECT bytes, files FROM file_usage WHERE owner_id = $1", [ownerId]);
  return { bytes: Number(rows[0]?.bytes ?? 0n), files: rows[0]?.files ?? 0 };
}

/** The same, locked until the transaction ends. */
export async function lockUsage(tx: Queryable, ownerId: string): Promise<StorageQuota> {
  await tx.query("INSERT INTO file_usage (owner_id) VALUES ($1) ON CONFLICT DO NOTHING", [ownerId]);
  await tx.query("SELECT 1 FROM file_usage WHERE owner_id = $1 FOR UPDATE", [ownerId]);
  return usageOf(tx, ownerId);
}

export interface FileFilter {
  kind?: FileKind | undefined;
  status?: FileState | undefined;
  taskId?: string | undefined;
}

/** A page of what an owner can see, newest first. */
export async function listFiles(
  db: Queryable,
  ownerId: string,
  filter: FileFilter,
  page: { limit: number; offset: number },
): Promise<{ items: FileRecord[]; total: number }> {
  const where = `WHERE owner_id = $1 AND state <> 'removing' AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR state = $3)
    AND ($4::uuid IS NULL OR task_id = $4)`;
  const values = [ownerId, filter.kind ?? null, filter.status ?? null, filter.taskId ?? null];
  const count = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM files ${where}`, values);
  const { rows } = await db.query<Row>(`SELECT ${COLUMNS} FROM files ${where} ORDER BY id DESC LIMIT $5 OFFSET $6`, [
    ...values,
    page.limit,
    page.offset,
  ]);
  return { items: rows.map(recordOf), total: Number(count.rows[0]!.total) };
}

/** Which of these keys belong to a file. */
export async function knownKeys(db: Queryable, keys: readonly string[]): Promise<Set<string>> {
  const { rows } = await db.query<{ object_key: string }>("SELECT object_key FROM files WHERE object_key = ANY ($1)", [keys]);
  return new Set(rows.map((row) => row.object_key));
}

/** Where the last page of a search ended; undefined at its beginning. */
export async function searchedUntil(db: Queryable, name: string): Promise<string | undefined> {
  const { rows } = await db.query<{ after: string | null }>("SELECT after FROM file_search WHERE name = $1", [name]);
  return rows[0]?.after ?? undefined;
}

/** `after` undefined: the search begins anew. */
export async function noteSearch(db: Queryable, name: string, after: string | undefined): Promise<void> {
  await db.query(
    `INSERT INTO file_search AS s (name, after) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET after = $2, rounds = s.rounds + CASE WHEN $2 IS NULL THEN 1 ELSE 0 END`,
    [name, after ?? null],
  );
}
