import pg from "pg";
import type { Logger } from "./logger.ts";
import { inSpan } from "./tracing/current.ts";

export type Pool = pg.Pool;
export type PoolClient = pg.PoolClient;
/** What a repository function needs: the pool, or a client inside a transaction. */
export type Queryable = Pick<pg.PoolClient, "query">;

const INT8 = 20;

/**
 * A process that is frozen in a transaction, or cut off from Postgres, keeps its locks: Postgres ends such a transaction after this. None of
 * ours waits in between for anything but the next statement, nor computes for a tenth of it; whoever's was ended repeats it or tells its caller.
 */
const IDLE_IN_TRANSACTION_MS = 10_000;

/**
 * What every session of ours is told at its start. Compiling a statement over the partitions of usage takes seconds and saves milliseconds.
 * `idleMs`: for how long a transaction may stand still; 0: for ever.
 */
export const sessionOptions = (idleMs = IDLE_IN_TRANSACTION_MS): string => `-c jit=off -c idle_in_transaction_session_timeout=${idleMs}`;

function getTypeParser(oid: number, format?: "text" | "binary"): unknown {
  if (oid === INT8 && format !== "binary") return BigInt;
  return pg.types.getTypeParser(oid, format as "text");
}

/**
 * A connection pool that reads int8 as bigint (money never passes through a float) and refuses quickly when Postgres is gone.
 * No connection is opened until the first query. A statement that takes longer than `statementTimeoutMs` is given up by Postgres.
 */
export function createPool(options: {
  url: string;
  max: number;
  name: string;
  log: Logger;
  connectTimeoutMs?: number;
  statementTimeoutMs?: number;
  /** See {@link sessionOptions}. */
  transactionIdleMs?: number;
}): Pool {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max,
    application_name: options.name,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 3_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    options: sessionOptions(options.transactionIdleMs),
    ...(options.statementTimeoutMs ? { statement_timeout: options.statementTimeoutMs } : {}),
    types: { getTypeParser } as pg.CustomTypesConfig,
  });
  // An idle connection that breaks must not end the process: the pool replaces it at the next query.
  pool.on("error", (error) => options.log.warn({ err: error }, "an idle postgres connection broke"));
  // Neither must one that somebody uses: its query fails, which is enough.
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}

/** Runs `work` in one transaction; rolls back and rethrows when it throws. */
export function inTransaction<T>(pool: Pool, work: (tx: PoolClient) => Promise<T>): Promise<T> {
  return inSpan("postgres transaction", { kind: "client", facts: { "db.system.name": "postgresql" } }, () => transact(pool, work));
}

/** What is to be done once the transaction of a connection is committed; only while one runs. */
const afterwards = new WeakMap<object, (() => void)[]>();

/** Does `work` when the transaction of {@link inTransaction} has been committed, or never; at once when `db` is in none. `work` may not throw. */
export function afterCommit(db: Queryable, work: () => void): void {
  const waiting = afterwards.get(db);
  if (waiting) waiting.push(work);
  else work();
}

async function transact<T>(pool: Pool, work: (tx: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken = false;
  const after: (() => void)[] = [];
  try {
    await client.query("BEGIN");
    afterwards.set(client, after);
    const result = await work(client);
    await client.query("COMMIT");
    afterwards.delete(client);
    for (const task of after) task();
    return result;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {
      broken = true;
    });
    throw error;
  } finally {
    afterwards.delete(client);
    client.release(broken);
  }
}

/** Postgres ended the session because its transaction had been idle for too long. */
const IDLE_IN_TRANSACTION = "25P03";

/** True for errors that mean "Postgres cannot be reached or is going down", not "the statement is wrong". */
export function isConnectionError(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === "string") {
    if (code.startsWith("08") || code.startsWith("57P") || code === "53300" || code === IDLE_IN_TRANSACTION) return true;
    if (["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN"].includes(code)) return true;
  }
  const message = error instanceof Error ? error.message : "";
  return /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|Cannot use a pool after/.test(
    message,
  );
}

/** True when Postgres gave up a statement that took longer than its pool allows. */
export const isStatementTimeout = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === "57014";

/** True when somebody else kept a lock for longer than the statement was to wait for it. */
export const isLockTimeout = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === "55P03";

/** True when a transaction that sees one moment met what another one has changed since: it may be tried again. */
export const isSerializationFailure = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === "40001";

/** The name of the unique constraint or index a statement ran into, or undefined when it failed for another reason. */
export function uniqueViolation(error: unknown): string | undefined {
  const found = error as { code?: unknown; constraint?: unknown; parent?: { code?: unknown; constraint?: unknown } } | null;
  const source = found?.parent ?? found;
  return source?.code === "23505" && typeof source.constraint === "string" ? source.constraint : undefined;
}
