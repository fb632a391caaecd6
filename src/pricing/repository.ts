import type { Queryable } from "../platform/postgres.ts";
import type { Prices } from "./price.ts";

/** One version of a model's prices; never changes once written. */
export interface PriceVersion extends Prices {
  /** Of this version, across all models; what a usage event keeps. */
  id: bigint;
  model: string;
  /** Counts up from 1 for each model. */
  version: number;
  /** Since when it is in force. */
  createdAt: Date;
}

/** A price version with who made it, when and why. */
export interface PriceRecord extends PriceVersion {
  authorId: string | null;
  reason: string | null;
}

export type Status = "active" | "inactive";

/** What is known of a model beside its prices. */
export interface ModelFields {
  aliases: string[];
  displayName: string | null;
  modality: string;
  contextLength: number | null;
  maxOutputTokens: number | null;
  /** The most tokens of one picture, and of one file whose pages cannot be counted; tokens of a second of video. Null for the usual. */
  maxImageTokens: number | null;
  maxFileTokens: number | null;
  videoSecondTokens: number | null;
  status: Status;
}

export interface ModelRecord extends ModelFields {
  name: string;
  createdAt: Date;
  updatedAt: Date;
  /** The version in force; null while the model has no price. */
  price: PriceVersion | null;
  /** How far the count of its prompts may be off, see estimates.ts; null before enough calls have shown it. */
  safetyPercent: number | null;
}

interface PriceRow {
  id: bigint;
  model: string;
  version: number;
  input_price: bigint;
  output_price: bigint;
  cached_input_price: bigint | null;
  cache_write_price: bigint | null;
  cache_write_1h_price: bigint | null;
  reasoning_price: bigint | null;
  request_price: bigint;
  image_price: bigint;
  second_price: bigint;
  character_price: bigint;
  web_search_price: bigint;
  author_id: string | null;
  reason: string | null;
  price_created_at: Date;
}

interface ModelRow extends Omit<PriceRow, "id"> {
  id: bigint | null;
  name: string;
  aliases: string[];
  display_name: string | null;
  modality: string;
  context_length: number | null;
  max_output_tokens: number | null;
  max_image_tokens: number | null;
  max_file_tokens: number | null;
  video_second_tokens: number | null;
  status: Status;
  created_at: Date;
  updated_at: Date;
  safety_percent: number | null;
}

const PRICE_COLUMNS = `p.id, p.model, p.version, p.input_price, p.output_price, p.cached_input_price, p.cache_write_price,
  p.cache_write_1h_price, p.reasoning_price, p.request_price, p.image_price, p.second_price, p.character_price, p.web_search_price, p.author_id, p.reason, p.created_at AS price_created_at`;
const MODEL_COLUMNS =
  "m.name, m.aliases, m.display_name, m.modality, m.context_length, m.max_output_tokens, m.max_image_tokens, m.max_file_tokens, m.video_second_tokens, m.status, m.created_at, m.updated_at, e.safety_percent";
const MODELS = `SELECT ${MODEL_COLUMNS}, ${PRICE_COLUMNS} FROM models m
  LEFT JOIN model_estimates e ON e.model = m.name
  LEFT JOIN LATERAL (SELECT * FROM price_versions v WHERE v.model = m.name ORDER BY v.version DESC LIMIT 1) p ON true`;

function priceOf(row: PriceRow): PriceVersion {
  return {
    id: row.id,
    model: row.model,
    version: row.version,
    createdAt: row.price_created_at,
    inputPrice: row.input_price,
    outputPrice: row.output_price,
    cachedInputPrice: row.cached_input_price,
    cacheWritePrice: row.cache_write_price,
    cacheWriteLongPrice: row.cache_write_1h_price,
    reasoningPrice: row.reasoning_price,
    requestPrice: row.request_price,
    imagePrice: row.image_price,
    secondPrice: row.second_price,
    characterPrice: row.character_price,
    searchPrice: row.web_search_price,
  };
}

const recordOf = (row: PriceRow): PriceRecord => ({
  ...priceOf(row),
  authorId: row.author_id,
  reason: row.reason,
});

function modelOf(row: ModelRow): ModelRecord {
  return {
    name: row.name,
    aliases: row.aliases,
    displayName: row.display_name,
    modality: row.modality,
    contextLength: row.context_length,
    maxOutputTokens: row.max_output_tokens,
    maxImageTokens: row.max_image_tokens,
    maxFileTokens: row.max_file_tokens,
    videoSecondTokens: row.video_second_tokens,
    status: row.status,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    price: row.id === null ? null : priceOf({ ...row, id: row.id }),
    safetyPercent: row.safety_percent,
  };
}

/** Every active model with the price in force. */
export async function activeModels(db: Queryable): Promise<ModelRecord[]> {
  const { rows } = await db.query<ModelRow>(`${MODELS} WHERE m.status = 'active' ORDER BY m.name`);
  return rows.map(modelOf);
}

/** Every model by name; with `lock` none of them changes until the transaction ends. */
export async function allModels(db: Queryable, options: { lock?: boolean } = {}): Promise<ModelRecord[]> {
  if (options.lock) await db.query("SELECT 1 FROM models ORDER BY name FOR UPDATE");
  const { rows } = await db.query<ModelRow>(`${MODELS} ORDER BY m.name`);
  return rows.map(modelOf);
}

/** The model of this name or alias, ignoring case. */
export async function findModel(db: Queryable, name: string): Promise<ModelRecord | undefined> {
  const { rows } = await db.query<ModelRow>(`${MODELS} WHERE m.name = (SELECT model FROM model_names WHERE name_key = lower($1))`, [name]);
  return rows[0] && modelOf(rows[0]);
}

export interface ModelFilter {
  q?: string | undefined;
  status?: Status | undefined;
  limit: number;
  offset: number;
}

/** A page of models by name; `q` is looked for in names, aliases and display names. */
export async function listModels(db: Queryable, filter: ModelFilter): Promise<{ items: ModelRecord[]; total: number }> {
  const where = `WHERE ($1::text IS NULL OR m.status = $1)
    AND ($2::text IS NULL OR strpos(lower(concat_ws(' ', m.name, m.display_name, array_to_string(m.aliases, ' '))), lower($2)) > 0)`;
  const values = [filter.status ?? null, filter.q ?? null];
  const total = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM models m ${where}`, values);
  const { rows } = await db.query<ModelRow>(`${MODELS} ${where} ORDER BY m.name LIMIT $3 OFFSET $4`, [
    ...values,
    filter.limit,
    filter.offset,
  ]);
  return { items: rows.map(modelOf), total: Number(total.rows[0]?.total ?? 0n) };
}

/** Locks a model's row until the transaction ends, so that its versions are numbered one after the other. */
export async function lockModel(tx: Queryable, name: string): Promise<void> {
  await tx.query("SELECT 1 FROM models WHERE name = $1 FOR UPDATE", [name]);
}

/** In the order of the two statements below. */
const valuesOf = (name: string, fields: ModelFields): unknown[] => [
  name,
  fields.aliases,
  fields.displayName,
  fields.modality,
  fields.contextLength,
  fields.maxOutputTokens,
  fields.status,
  fields.maxImageTokens,
  fields.maxFileTokens,
  fields.videoSecondTokens,
];

export async function insertModel(tx: Queryable, name: string, fields: ModelFields): Promise<void> {
  await tx.query(
    `INSERT INTO models (name, aliases, display_name, modality, context_length, max_output_tokens, status, max_image_tokens,
       max_file_tokens, video_second_tokens) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    valuesOf(name, fields),
  );
}

export async function updateModel(tx: Queryable, name: string, fields: ModelFields): Promise<void> {
  await tx.query(
    `UPDATE models SET aliases = $2, display_name = $3, modality = $4, context_length = $5, max_output_tokens = $6, status = $7,
       max_image_tokens = $8, max_file_tokens = $9, video_second_tokens = $10, updated_at = now()
     WHERE name = $1`,
    valuesOf(name, fields),
  );
}

/** Writes the next version of a model's prices. The model must be locked by {@link lockModel} or new. */
export async function insertPrice(
  tx: Queryable,
  model: string,
  price: Prices,
  by: { authorId: string | null; reason: string | null },
): Promise<void> {
  await tx.query(
    `INSERT INTO price_versions (model, version, input_price, output_price, cached_input_price, cache_write_price,
       cache_write_1h_price, reasoning_price, request_price, image_price, second_price, character_price, web_search_price, author_id, reason)
     SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 FROM price_versions WHERE model = $1`,
    [
      model,
      price.inputPrice,
      price.outputPrice,
      price.cachedInputPrice,
      price.cacheWritePrice,
      price.cacheWriteLongPrice,
      price.reasoningPrice,
      price.requestPrice,
      price.imagePrice,
      price.secondPrice,
      price.characterPrice,
      price.searchPrice,
      by.authorId,
      by.reason,
    ],
  );
}

export async function findVersion(db: Queryable, id: bigint): Promise<PriceVersion | undefined> {
  const { rows } = await db.query<PriceRow>(`SELECT ${PRICE_COLUMNS} FROM price_versions p WHERE p.id = $1`, [id]);
  return rows[0] && priceOf(rows[0]);
}

/** The version of a model's prices that was in force at a moment or, when there was none yet, the first one. */
export async function findVersionAt(db: Queryable, model: string, at: Date): Promise<PriceVersion | undefined> {
  const { rows } = await db.query<PriceRow>(
    `SELECT ${PRICE_COLUMNS} FROM price_versions p WHERE p.model = $1
     ORDER BY p.created_at <= $2 DESC, CASE WHEN p.created_at <= $2 THEN p.version ELSE -p.version END DESC LIMIT 1`,
    [model, at],
  );
  return rows[0] && priceOf(rows[0]);
}

/** A page of a model's price versions, the newest first. */
export async function priceHistory(
  db: Queryable,
  model: string,
  page: { limit: number; offset: number },
): Promise<{ items: PriceRecord[]; total: number }> {
  const total = await db.query<{ total: bigint }>("SELECT count(*) AS total FROM price_versions WHERE model = $1", [model]);
  const { rows } = await db.query<PriceRow>(
    `SELECT ${PRICE_COLUMNS} FROM price_versions p WHERE p.model = $1 ORDER BY p.version DESC LIMIT $2 OFFSET $3`,
    [model, page.limit, page.offset],
  );
  return { items: rows.map(recordOf), total: Number(total.rows[0]?.total ?? 0n) };
}
