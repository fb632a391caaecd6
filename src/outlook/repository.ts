import type { Queryable } from "../platform/postgres.ts";
import type { FigureName, Reading } from "./figures.ts";

interface SampleRow {
  figure: string;
  subject: string;
  at: Date;
  value: number;
  limit: number | null;
}

/** Whether samples of a moment were taken already. */
export async function isTaken(db: Queryable, at: Date): Promise<boolean> {
  const { rowCount } = await db.query("SELECT FROM outlook_samples WHERE at = $1 LIMIT 1", [at]);
  return rowCount === 1;
}

/** Keeps samples of a moment, each once. */
export async function insertSamples(db: Queryable, at: Date, samples: readonly (Reading & { figure: FigureName })[]): Promise<void> {
  await db.query(
    `INSERT INTO outlook_samples (figure, subject, at, value, "limit")
     SELECT figure, subject, $1, value, most FROM unnest($2::text[], $3::text[], $4::float8[], $5::float8[]) AS q (figure, subject, value, most)
     ON CONFLICT DO NOTHING`,
    [
      at,
      samples.map(({ figure }) => figure),
      samples.map(({ subject }) => subject),
      samples.map(({ value }) => value),
      samples.map(({ limit }) => limit),
    ],
  );
}

/** Samples since a moment, of each subject in the order of time. */
export async function readSamples(db: Queryable, since: Date): Promise<SampleRow[]> {
  const { rows } = await db.query<SampleRow>(
    'SELECT figure, subject, at, value, "limit" FROM outlook_samples WHERE at >= $1 ORDER BY figure, subject, at',
    [since],
  );
  return rows;
}

export async function forgetSamples(db: Queryable, before: Date): Promise<void> {
  await db.query("DELETE FROM outlook_samples WHERE at < $1", [before]);
}
