import { DataTypes, type ModelStatic, type Model, type Sequelize } from "sequelize";
import type { Units } from "../pricing/index.ts";

/** A row of usage_events as lists read it. int8 columns arrive as decimal text. */
export interface UsageRow {
  id: string;
  created_at: Date;
  request_id: string;
  user_id: string;
  team_id: string | null;
  wallet_id: string;
  key_id: string | null;
  model: string;
  provider_id: string | null;
  provider_name: string | null;
  upstream_request_id: string | null;
  route: string;
  stream: boolean;
  price_version_id: string | null;
  input_tokens: string;
  cached_input_tokens: string;
  cache_write_tokens: string;
  cache_write_long_tokens: string;
  output_tokens: string;
  reasoning_tokens: string;
  units: Units | null;
  price_multiplier: number;
  estimated: boolean;
  status: string;
  http_status: number;
  error_class: string | null;
  error_code: string | null;
  retry_count: number;
  first_chunk_ms: number | null;
  duration_ms: number;
  client_ip: string | null;
  cost: string | null;
  uncharged: string | null;
  settled_at: Date | null;
  set_aside_at: Date | null;
  estimated_input_tokens: number | null;
  token_id: string | null;
  cache: string | null;
  attempts: AttemptRow[] | null;
  upstream_cost: string | null;
  upstream_currency: string | null;
}

/** One attempt in usage_events.attempts; what is not known is missing. */
export interface AttemptRow {
  provider_id: string;
  provider: string;
  upstream_model: string;
  key?: string;
  status: string;
  http_status?: number;
  error_code?: string;
  error_class?: string;
  started_ms: number;
  said?: string;
  first_byte_ms?: number;
  duration_ms: number;
  tokens?: { input: number; cached_input?: number; cache_write?: number; cache_write_long?: number; output: number; reasoning?: number };
  cost?: string;
  currency?: string;
}

export type UsageModel = ModelStatic<Model<UsageRow>>;

const { BIGINT, BOOLEAN, DATE, INTEGER, JSONB, TEXT, UUID } = DataTypes;

/** The Sequelize model of usage_events, for reading lists; rows are written by the SQL functions of the migration. */
export function defineUsageModel(sequelize: Sequelize): UsageModel {
  return sequelize.define<Model<UsageRow>>(
    "usage_events",
    {
      id: { type: UUID, primaryKey: true },
      created_at: DATE,
      request_id: TEXT,
      user_id: UUID,
      team_id: UUID,
      wallet_id: BIGINT,
      key_id: UUID,
      model: TEXT,
      provider_id: UUID,
      provider_name: TEXT,
      upstream_request_id: TEXT,
      route: TEXT,
      stream: BOOLEAN,
      price_version_id: BIGINT,
      input_tokens: BIGINT,
      cached_input_tokens: BIGINT,
      cache_write_tokens: BIGINT,
      cache_write_long_tokens: BIGINT,
      output_tokens: BIGINT,
      reasoning_tokens: BIGINT,
      units: JSONB,
      price_multiplier: INTEGER,
      estimated: BOOLEAN,
      status: TEXT,
      http_status: INTEGER,
      error_class: TEXT,
      error_code: TEXT,
      retry_count: INTEGER,
      first_chunk_ms: INTEGER,
      duration_ms: INTEGER,
      client_ip: TEXT,
      cost: BIGINT,
      uncharged: BIGINT,
      settled_at: DATE,
      set_aside_at: DATE,
      estimated_input_tokens: INTEGER,
      token_id: UUID,
      cache: TEXT,
      attempts: JSONB,
      upstream_cost: BIGINT,
      upstream_currency: TEXT,
    },
    { timestamps: false },
  );
}
