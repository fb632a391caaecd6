import type { Queryable } from "../../platform/postgres.ts";

export type Status = "active" | "inactive";
export type ApiFormat = "openai" | "claude" | "dify" | "custom";
export type Currency = "CREDITS" | "CNY" | "USD";

/** Milliseconds; what is missing is configured for all. */
export interface GivenTimeouts {
  connect_ms?: number | undefined;
  first_byte_ms?: number | undefined;
  whole_ms?: number | undefined;
  idle_ms?: number | undefined;
  total_ms?: number | undefined;
}

/** What an operator sets. Keys and headers are sealed. */
export interface ProviderFields {
  name: string;
  base_url: string;
  api_keys: string[];
  api_format: ApiFormat;
  status: Status;
  priority: number;
  weight: number;
  timeouts: GivenTimeouts;
  headers: string | null;
  header_names: string[];
  config: Record<string, unknown>;
}

export interface ProviderRow extends ProviderFields {
  id: string;
  created_at: Date;
  updated_at: Date;
}

export interface ProviderModelFields {
  model_name: string;
  upstream_model: string;
  display_name: string | null;
  /** Millionths of the currency per 1000 tokens (the first six) or per one; null when not known. */
  input_price: bigint | null;
  output_price: bigint | null;
  cached_input_price: bigint | null;
  cache_write_price: bigint | null;
  cache_write_1h_price: bigint | null;
  reasoning_price: bigint | null;
  request_price: bigint | null;
  image_price: bigint | null;
  second_price: bigint | null;
  character_price: bigint | null;
  web_search_price: bigint | null;
  price_currency: Currency;
  status: Status;
}

export interface ProviderModelRow extends ProviderModelFields {
  id: string;
  provider_id: string;
  created_at: Date;
  updated_at: Date;
}

export interface Page {
  limit: number;
  offset: number;
}

const PROVIDER_FIELDS = [
  "name",
  "base_url",
  "api_keys",
  "api_format",
  "status",
  "priority",
  "weight",
  "timeouts",
  "headers",
  "header_names",
  "config",
] as const satisfies (keyof ProviderFields)[];
/** Columns of what a provider's model costs us. */
export const COST_FIELDS = [
  "input_price",
  "output_price",
  "cached_input_price",
  "cache_write_price",
  "cache_write_1h_price",
  "reasoning_price",
  "request_price",
  "image_price",
  "second_price",
  "character_price",
  "web_search_price",
] as const satisfies (keyof ProviderModelFields)[];
const MODEL_FIELDS = [
  "model_name",
  "upstream_model",
  "display_name",
  ...COST_FIELDS,
  "price_currency",
  "status",
] as const satisfies (keyof ProviderModelFields)[];

/** `INSERT` or `UPDATE` of a fixed list of columns; the list is ours, never a caller's. */
const places = (columns: readonly string[], from: number) => columns.map((_, i) => `$${from + i}`).join(", ");

export async function insertProvider(tx: Queryable, id: string, fields: ProviderFields): Promise<ProviderRow> {
  const { rows } = await tx.query<ProviderRow>(
    `INSERT INTO providers (id, ${PROVIDER_FIELDS.join(", ")}) VALUES ($1, ${places(PROVIDER_FIELDS, 2)}) RETURNING *`,
    [id, ...PROVIDER_FIELDS.map((name) => fields[name])],
  );
  return rows[0]!;
}

export async function updateProvider(tx: Queryable, id: string, fields: ProviderFields): Promise<ProviderRow> {
  const { rows } = await tx.query<ProviderRow>(
    `UPDATE providers SET (${PROVIDER_FIELDS.join(", ")}, updated_at) = (${places(PROVIDER_FIELDS, 2)}, now()) WHERE id = $1 RETURNING *`,
    [id, ...PROVIDER_FIELDS.map((name) => fields[name])],
  );
  return rows[0]!;
}

/** A provider; with `lock` its row is held until the transaction ends. */
export async function findProvider(db: Queryable, id: string, options: { lock?: boolean } = {}): Promise<ProviderRow | undefined> {
  const { rows } = await db.query<ProviderRow>(`SELECT * FROM providers WHERE id = $1 ${options.lock ? "FOR UPDATE" : ""}`, [id]);
  return rows[0];
}

/** Removes a provider and the models it serves; usage keeps its name. False when there was none. */
export async function deleteProvider(tx: Queryable, id: string): Promise<boolean> {
  return (await tx.query("DELETE FROM providers WHERE id = $1", [id])).rowCount === 1;
}

/** A page of providers in the order in which they are tried. */
export async function listProviders(
  db: Queryable,
  filter: Page & { q?: string | undefined; status?: Status | undefined },
): Promise<{ items: ProviderRow[]; total: number }> {
  const where = `WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR strpos(lower(name || ' ' || base_url), lower($2)) > 0)`;
  const values = [filter.status ?? null, filter.q ?? null];
  const total = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM providers ${where}`, values);
  const { rows } = await db.query<ProviderRow>(`SELECT * FROM providers ${where} ORDER BY priority DESC, name, id LIMIT $3 OFFSET $4`, [
    ...values,
    filter.limit,
    filter.offset,
  ]);
  return { items: rows, total: Number(total.rows[0]?.total ?? 0n) };
}

export async function insertProviderModel(
  tx: Queryable,
  id: string,
  providerId: string,
  fields: ProviderModelFields,
): Promise<ProviderModelRow> {
  const { rows } = await tx.query<ProviderModelRow>(
    `INSERT INTO provider_models (id, provider_id, ${MODEL_FIELDS.join(", ")}) VALUES ($1, $2, ${places(MODEL_FIELDS, 3)}) RETURNING *`,
    [id, providerId, ...MODEL_FIELDS.map((name) => fields[name])],
  );
  return rows[0]!;
}

export async function updateProviderModel(tx: Queryable, id: string, fields: ProviderModelFields): Promise<ProviderModelRow> {
  const { rows } = await tx.query<ProviderModelRow>(
    `UPDATE provider_models SET (${MODEL_FIELDS.join(", ")}, updated_at) = (${places(MODEL_FIELDS, 2)}, now()) WHERE id = $1 RETURNING *`,
    [id, ...MODEL_FIELDS.map((name) => fields[name])],
  );
  return rows[0]!;
}

export async function findProviderModel(
  db: Queryable,
  providerId: string,
  id: string,
  options: { lock?: boolean } = {},
): Promise<ProviderModelRow | undefined> {
  const { rows } = await db.query<ProviderModelRow>(
    `SELECT * FROM provider_models WHERE provider_id = $1 AND id = $2 ${options.lock ? "FOR UPDATE" : ""}`,
    [providerId, id],
  );
  return rows[0];
}

export async function deleteProviderModel(tx: Queryable, providerId: string, id: string): Promise<boolean> {
  return (await tx.query("DELETE FROM provider_models WHERE provider_id = $1 AND id = $2", [providerId, id])).rowCount === 1;
}

export async function listProviderModels(
  db: Queryable,
  providerId: string,
  page: Page,
): Promise<{ items: ProviderModelRow[]; total: number }> {
  const total = await db.query<{ total: bigint }>("SELECT count(*) AS total FROM provider_models WHERE provider_id = $1", [providerId]);
  const { rows } = await db.query<ProviderModelRow>(
    "SELECT * FROM provider_models WHERE provider_id = $1 ORDER BY lower(model_name), id LIMIT $2 OFFSET $3",
    [providerId, page.limit, page.offset],
  );
  return { items: rows, total: Number(total.rows[0]?.total ?? 0n) };
}

/** All models of a provider, for comparing them with others. */
export async function allProviderModels(db: Queryable, providerId: string): Promise<ProviderModelRow[]> {
  const { rows } = await db.query<ProviderModelRow>("SELECT * FROM provider_models WHERE provider_id = $1 ORDER BY lower(model_name), id", [
    providerId,
  ]);
  return rows;
}

/** Everything calls may be routed to now: active models of active providers. */
export async function activeRoutes(db: Queryable): Promise<{ providers: ProviderRow[]; models: ProviderModelRow[] }> {
  const providers = await db.query<ProviderRow>("SELECT * FROM providers WHERE status = 'active' ORDER BY created_at, id");
  const models = await db.query<ProviderModelRow>("SELECT * FROM provider_models WHERE status = 'active' ORDER BY created_at, id");
  return { providers: providers.rows, models: models.rows };
}
