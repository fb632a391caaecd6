import type { Pool } from "../platform/postgres.ts";
import { single, type Readers } from "./figures.ts";

/** Postgres stops before two thousand million transactions; well before that somebody has to act. */
const TRANSACTION_AGE_LIMIT = 1_500_000_000;

interface Row {
  connections: number;
  most: number;
  age: number;
  bytes: number;
}

/** What Postgres says of itself. */
export function postgresFigures(pool: Pool): Pick<Readers, "postgres_connections" | "postgres_transaction_age" | "database_bytes"> {
  async function read<Name extends keyof Row>(sql: string): Promise<Pick<Row, Name>> {
    const { rows } = await pool.query<Pick<Row, Name>>(sql);
    return rows[0]!;
  }
  return {
    async postgres_connections() {
      const { connections, most } = await read<"connections" | "most">(
        `SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::integer AS connections,
           current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer AS most`,
      );
      return single(connections, most);
    },
    async postgres_transaction_age() {
      const { age } = await read<"age">("SELECT age(datfrozenxid)::float8 AS age FROM pg_database WHERE datname = current_database()");
      return single(age, TRANSACTION_AGE_LIMIT);
    },
    async database_bytes() {
      const { bytes } = await read<"bytes">("SELECT pg_database_size(current_database())::float8 AS bytes");
      return single(bytes, null);
    },
  };
}
