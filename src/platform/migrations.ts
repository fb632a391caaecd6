import { readFile, readdir } from "node:fs/promises";
import path from "node:path";
import pg from "pg";
import { Umzug, type UmzugStorage } from "umzug";
import type { Logger } from "./logger.ts";
import { sessionOptions } from "./postgres.ts";

/** Any number, the same in every copy: the advisory lock that lets one process migrate at a time. */
const MIGRATION_LOCK = 7_266_001;

function storage(client: pg.Client): UmzugStorage {
  return {
    async executed() {
      await client.query(
        "CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
      );
      const { rows } = await client.query<{ name: string }>("SELECT name FROM schema_migrations ORDER BY name");
      return rows.map((row) => row.name);
    },
    async logMigration({ name }) {
      await client.query("INSERT INTO schema_migrations (name) VALUES ($1)", [name]);
    },
    async unlogMigration({ name }) {
      await client.query("DELETE FROM schema_migrations WHERE name = $1", [name]);
    },
  };
}

/**
 * Applies every `NNNN-name.sql` of `folder` that has not been applied, each in a transaction together with its log row.
 * Copies that start together wait for each other on an advisory lock, so that each migration runs once. Returns the names applied.
 */
export async function migrate(options: { url: string; folder: string; log: Logger; upTo?: string }): Promise<string[]> {
  const client = new pg.Client({
    connectionString: options.url,
    application_name: "tollkeeper-migrate",
    connectionTimeoutMillis: 10_000,
    options: sessionOptions(),
  });
  await client.connect();
  try {
    await client.query("SELECT pg_advisory_lock($1)", [MIGRATION_LOCK]);
    const files = (await readdir(options.folder)).filter((name) => /^\d{4}-.*\.sql$/.test(name)).sort();
    const umzug = new Umzug({
      migrations: files.map((file) => ({
        name: file,
        async up() {
          const sql = await readFile(path.join(options.folder, file), "utf8");
          await client.query("BEGIN");
          try {
            await client.query(sql);
            await client.query("INSERT INTO schema_migrations (name) VALUES ($1)", [file]);
            await client.query("COMMIT");
          } catch (error) {
            await client.query("ROLLBACK");
            throw new Error(`migration ${file} failed: ${(error as Error).message}`, { cause: error });
          }
        },
      })),
      // The row is written inside the migration's own transaction: a crash can never leave one without the other.
      storage: { ...storage(client), logMigration: async () => undefined },
      logger: undefined,
    });
    const applied = await umzug.up(options.upTo ? { to: options.upTo } : undefined);
    for (const migration of applied) options.log.info({ migration: migration.name }, "migration applied");
    return applied.map((migration) => migration.name);
  } finally {
    await client.end();
  }
}
