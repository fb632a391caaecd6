import { Sequelize } from "sequelize";
import { sessionOptions } from "./postgres.ts";
import { served } from "./tracing/index.ts";

/** The Sequelize instance for the domain tables. Its pool is its own: a slow list can never starve the ledger's connections. */
export function createSequelize(options: { url: string; max: number; traced?: boolean; transactionIdleMs?: number }): Sequelize {
  return new Sequelize(options.url, {
    dialect: "postgres",
    ...(options.traced ? { benchmark: true, logging: noteStatement } : { logging: false }),
    pool: { max: options.max, min: 0, acquire: 5_000, idle: 30_000 },
    define: { underscored: true, freezeTableName: true },
    dialectOptions: { keepAlive: true, connectionTimeoutMillis: 3_000, options: sessionOptions(options.transactionIdleMs) },
  });
}

/** A span for a statement that is over, where a traced request asked it. Its text holds values, so only its first word is told. */
function noteStatement(text: string, ms?: number): void {
  const operation = /^Executed \([^)]*\): (\w+)/.exec(text)?.[1] ?? "statement";
  const endMs = performance.now();
  const facts = { "db.system.name": "postgresql", "db.operation.name": operation };
  served()
    ?.span?.child(`postgres ${operation}`, { kind: "client", startMs: endMs - (ms ?? 0), facts })
    .end(endMs);
}
