import type { Queryable } from "../../platform/postgres.ts";
import type { RenderRates } from "./price.ts";

/** One version of an engine's prices; never changes once written. */
export interface RenderPrice extends RenderRates {
  id: bigint;
  engine: string;
  version: number;
  authorId: string | null;
  reason: string | null;
  createdAt: Date;
}

interface PriceRow {
  id: bigint;
  engine: string;
  version: number;
  per_frame: bigint;
  per_megasample: bigint;
  per_second: bigint;
  low_percent: number;
  normal_percent: number;
  high_percent: number;
  author_id: string | null;
  reason: string | null;
  created_at: Date;
}

const COLUMNS =
  "id, engine, version, per_frame, per_megasample, per_second, low_percent, normal_percent, high_percent, author_id, reason, created_at";

const priceOf = (row: PriceRow): RenderPrice => ({
  id: row.id,
  engine: row.engine,
  version: row.version,
  perFrame: row.per_frame,
  perMegasample: row.per_megasample,
  perSecond: row.per_second,
  percent: { low: row.low_percent, normal: row.normal_percent, high: row.high_percent },
  authorId: row.author_id,
  reason: row.reason,
  createdAt: row.created_at,
});

/** The version in force; undefined for an engine without prices. */
export async function currentPrice(db: Queryable, engine: string): Promise<RenderPrice | undefined> {
  const { rows } = await db.query<PriceRow>(`SELECT ${COLUMNS} FROM render_prices WHERE engine = $1 ORDER BY version DESC LIMIT 1`, [
    engine,
  ]);
  return rows[0] && priceOf(rows[0]);
}

/** The version that a task was made under. */
export async function priceById(db: Queryable, id: bigint): Promise<RenderPrice> {
  const { rows } = await db.query<PriceRow>(`SELECT ${COLUMNS} FROM render_prices WHERE id = $1`, [id]);
  if (!rows[0]) throw new Error(`there are no render prices ${id}`);
  return priceOf(rows[0]);
}

/** All versions of an engine, newest first; of every engine's newest without one. */
export async function listPrices(db: Queryable, engine?: string): Promise<RenderPrice[]> {
  const { rows } = engine
    ? await db.query<PriceRow>(`SELECT ${COLUMNS} FROM render_prices WHERE engine = $1 ORDER BY version DESC`, [engine])
    : await db.query<PriceRow>(`SELECT DISTINCT ON (engine) ${COLUMNS} FROM render_prices ORDER BY engine, version DESC`);
  return rows.map(priceOf);
}

/** Writes the next version of an engine's prices; callers serialize by the unique key of engine and version. */
export async function insertPrice(
  tx: Queryable,
  price: RenderRates & { engine: string; authorId: string | null; reason: string | null },
): Promise<RenderPrice> {
  const { rows } = await tx.query<PriceRow>(
    `INSERT INTO render_prices (engine, version, per_frame, per_megasample, per_second, low_percent, normal_percent, high_percent, author_id, reason)
     VALUES ($1, (SELECT coalesce(max(version), 0) + 1 FROM render_prices WHERE engine = $1), $2, $3, $4, $5, $6, $7, $8, $9) RETURNING ${COLUMNS}`,
    [
      price.engine,
      price.perFrame,
      price.perMegasample,
      price.perSecond,
      price.percent.low,
      price.percent.normal,
      price.percent.high,
      price.authorId,
      price.reason,
    ],
  );
  return priceOf(rows[0]!);
}
