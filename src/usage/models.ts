import { DataTypes, type ModelStatic, type Model, type Sequelize } from "sequelize";

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
  output_tokens: string;
  reasoning_tokens: string;
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
}

export type UsageModel = ModelStatic<Model<UsageRow>>;

const { BIGINT, BOOLEAN, DATE, INTEGER, TEXT, UUID } = DataTypes;

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
      output_tokens: BIGINT,
      reasoning_tokens: BIGINT,
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
    },
    { timestamps: false },
  );
}
