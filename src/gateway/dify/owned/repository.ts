import type { Pool, Queryable } from "../../../platform/postgres.ts";
import type { TokenClasses } from "../../../pricing/index.ts";

export type OwnedKind = "conversation" | "message" | "task" | "run" | "file" | "form";

/** One thing at Dify and whose it is. */
export interface OwnedRow {
  /** The `user` that Dify was told. */
  owner: string;
  id: string;
  kind: OwnedKind;
  providerId: string;
  model: string;
  /** Of a conversation or message the last turn's; of a task or run what was charged so far. Null: not known yet. */
  inputTokens: number | null;
  outputTokens: number | null;
  /** Of a form: the run that goes on when it is answered. */
  run?: string | null;
  /** Of a message that has ended: of its answer. */
  characters?: number | null;
  /** Of a task or run: the call that reads it to its end, or was the last to. */
  callId?: string | null;
  /** The guardrail has not let pass what it says; of a conversation its name. Null: as it was. */
  withheld?: boolean | null;
}

/** One row for each id, the last one with its tokens: one statement may not write one row twice. */
function distinctRows(rows: readonly OwnedRow[]): OwnedRow[] {
  const distinct = new Map<string, OwnedRow>();
  for (const row of rows) {
    const key = `${row.owner} ${row.id}`;
    const before = distinct.get(key);
    const known = row.inputTokens === null && before ? before : row;
    const { inputTokens, outputTokens, characters = null } = known;
    const [callId, withheld] = [row.callId ?? before?.callId ?? null, row.withheld ?? before?.withheld ?? null];
    distinct.set(key, { ...row, inputTokens, outputTokens, characters, callId, withheld });
  }
  return [...distinct.values()];
}

/** How long things are known after they were last noted, in milliseconds. */
export interface Lifetimes {
  /** Tasks, runs and forms. */
  passing: number;
  /** Conversations, messages and files. */
  lasting: number;
}

/** Notes whose these are; noting one again moves it to where it lies now, and its life begins anew. */
export async function insertOwned(pool: Pool, rows: readonly OwnedRow[], lifetimes: Lifetimes): Promise<void> {
  const distinct = distinctRows(rows);
  const column = <T>(pick: (row: OwnedRow) => T): T[] => distinct.map(pick);
  await pool.query({
    name: "dify_ids_note",
    text: `INSERT INTO dify_ids (owner, id, kind, provider_id, model, input_tokens, output_tokens, run, characters, call_id,
       withheld, expires_at)
     SELECT o.*, date_trunc('day', clock_timestamp(), 'UTC') + (CASE WHEN o.kind IN ('task', 'run', 'form') THEN $12::float8 ELSE $13 END) * interval '1 millisecond'
     FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::integer[],
       $10::uuid[], $11::boolean[])
       AS o(owner, id, kind, provider_id, model, input_tokens, output_tokens, run, characters, call_id, withheld)
     ORDER BY o.owner, o.id
     ON CONFLICT (owner, id) DO UPDATE SET provider_id = EXCLUDED.provider_id, model = EXCLUDED.model,
       input_tokens = coalesce(EXCLUDED.input_tokens, dify_ids.input_tokens),
       output_tokens = coalesce(EXCLUDED.output_tokens, dify_ids.output_tokens),
       characters = coalesce(EXCLUDED.characters, dify_ids.characters),
       call_id = coalesce(EXCLUDED.call_id, dify_ids.call_id), withheld = coalesce(EXCLUDED.withheld, dify_ids.withheld),
       expires_at = EXCLUDED.expires_at`,
    values: [
      column((row) => row.owner),
      column((row) => row.id),
      column((row) => row.kind),
      column((row) => row.providerId),
      column((row) => row.model),
      column((row) => row.inputTokens),
      column((row) => row.outputTokens),
      column((row) => row.run ?? null),
      column((row) => row.characters ?? null),
      column((row) => row.callId ?? null),
      column((row) => row.withheld ?? null),
      lifetimes.passing,
      lifetimes.lasting,
    ],
  });
}

/** Those of these ids that are the owner's. */
export async function findOwned(pool: Pool, owner: string, ids: readonly string[]): Promise<OwnedRow[]> {
  const { rows } = await pool.query<OwnedRow>({
    name: "dify_ids_find",
    text: `SELECT owner, id, kind, provider_id AS "providerId", model, input_tokens::float8 AS "inputTokens", output_tokens::float8 AS "outputTokens", run, characters,
       call_id AS "callId", withheld
     FROM dify_ids WHERE owner = $1 AND id = ANY($2)`,
    values: [owner, ids],
  });
  return rows;
}

/** What a run has had until now, by its ids: the next part of it is charged from there. In the caller's transaction. */
export async function noteRunTokens(
  tx: Queryable,
  owner: string,
  ids: readonly string[],
  { input, output }: Pick<TokenClasses, "input" | "output">,
): Promise<void> {
  await tx.query("UPDATE dify_ids SET input_tokens = $3, output_tokens = $4 WHERE owner = $1 AND id = ANY ($2::text[])", [
    owner,
    ids,
    input,
    output,
  ]);
}

export async function deleteOwned(pool: Pool, owner: string, id: string): Promise<void> {
  await pool.query("DELETE FROM dify_ids WHERE owner = $1 AND id = $2", [owner, id]);
}

/** Forgets what nobody has used for its lifetime; at most `limit`. Returns how many. */
export async function deletePassed(pool: Pool, limit: number): Promise<number> {
  const { rowCount } = await pool.query(
    `DELETE FROM dify_ids WHERE (owner, id) IN
       (SELECT owner, id FROM dify_ids WHERE expires_at <= clock_timestamp() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`,
    [limit],
  );
  return rowCount ?? 0;
}
