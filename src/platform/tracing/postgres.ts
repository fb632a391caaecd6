import type { Pool } from "../postgres.ts";
import { inSpan } from "./current.ts";

/** The first word of a statement: what can be said of it without showing values. */
const operationOf = (text: string): string => (/^\s*(\w+)/.exec(text)?.[1] ?? "statement").toUpperCase();

/**
 * Gives each statement that a traced request asks of the pool a span. Statements of a transaction are not told apart: the transaction is one
 * span. Only pools of a process with tracing are changed.
 */
export function traceStatements(pool: Pool): Pool {
  const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
  const traced = (...args: unknown[]): Promise<unknown> => {
    const [first] = args;
    const text = typeof first === "string" ? first : String((first as { text?: unknown } | undefined)?.text ?? "");
    const operation = operationOf(text);
    const name = (first as { name?: unknown } | undefined)?.name;
    const facts = {
      "db.system.name": "postgresql",
      "db.operation.name": operation,
      ...(typeof name === "string" ? { "db.query.summary": name } : {}),
    };
    return inSpan(`postgres ${operation}`, { kind: "client", facts }, () => query(...args));
  };
  return Object.assign(pool, { query: traced });
}
