import { DataTypes, type Model, type ModelStatic, type Sequelize } from "sequelize";
import type { Limits } from "../quotas/index.ts";
import type { UserRow } from "./users.ts";

/** Tables of this domain for lists and plain edits. Whatever moves money or must be exact under concurrency uses SQL instead. */

export interface ApiKeyRow {
  id: string;
  user_id: string;
  name: string;
  hash: string;
  prefix: string;
  previous_hash: string | null;
  previous_expires_at: Date | null;
  status: "active" | "disabled" | "revoked";
  limits: Limits;
  models: string[] | null;
  allowed_ips: string[] | null;
  cache_seconds: number | null;
  expires_at: Date | null;
  created_at: Date;
  updated_at: Date;
  revoked_at: Date | null;
  last_used_at: Date | null;
  last_used_ip: string | null;
}

export interface SessionRow {
  id: string;
  user_id: string;
  ip: string | null;
  user_agent: string | null;
  created_at: Date;
  last_used_at: Date;
  expires_at: Date;
  revoked_at: Date | null;
}

type UserListRow = Omit<UserRow, "wallet_id" | "password_hash">;

export interface IdentityModels {
  users: ModelStatic<Model<UserListRow, Partial<UserListRow>>>;
  apiKeys: ModelStatic<Model<ApiKeyRow, Partial<ApiKeyRow>>>;
  sessions: ModelStatic<Model<SessionRow, Partial<SessionRow>>>;
}

const id = { type: DataTypes.UUID, primaryKey: true };
const text = DataTypes.TEXT;
const time = DataTypes.DATE;
const texts = DataTypes.ARRAY(DataTypes.TEXT);

/** Declares the models; no connection is opened. Secrets (hashes of passwords) are not among the columns. */
export function defineIdentityModels(sequelize: Sequelize): IdentityModels {
  const options = { timestamps: false };
  return {
    users: sequelize.define(
      "users",
      {
        id,
        email: text,
        username: text,
        phone: text,
        email_verified: DataTypes.BOOLEAN,
        display_name: text,
        locale: text,
        time_zone: text,
        roles: texts,
        status: text,
        suspended_until: time,
        tier: text,
        limits: DataTypes.JSONB,
        created_at: time,
        updated_at: time,
        last_sign_in_at: time,
      },
      options,
    ),
    apiKeys: sequelize.define(
      "api_keys",
      {
        id,
        user_id: DataTypes.UUID,
        name: text,
        hash: text,
        prefix: text,
        previous_hash: text,
        previous_expires_at: time,
        status: text,
        limits: DataTypes.JSONB,
        models: texts,
        allowed_ips: texts,
        cache_seconds: DataTypes.INTEGER,
        expires_at: time,
        created_at: time,
        updated_at: time,
        revoked_at: time,
        last_used_at: time,
        last_used_ip: text,
      },
      options,
    ),
    sessions: sequelize.define(
      "sessions",
      { id, user_id: DataTypes.UUID, ip: text, user_agent: text, created_at: time, last_used_at: time, expires_at: time, revoked_at: time },
      options,
    ),
  };
}
