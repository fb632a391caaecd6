import { QueryTypes, type Sequelize, type Transaction } from "sequelize";
import { appError } from "../platform/errors.ts";
import { uuidv7 } from "../platform/ids.ts";
import { announce } from "../platform/invalidation.ts";
import type { Queryable } from "../platform/postgres.ts";
import type { Limits } from "../quotas/index.ts";
import type { Changes } from "./changes.ts";
import { makeKey } from "./keyFormat.ts";
import type { ApiKeyRow, IdentityModels } from "./models.ts";

const KEYS_MAX = 200;

export interface KeySettings {
  name: string;
  expires_at: Date | null;
  limits: Limits;
  models: string[] | null;
  allowed_ips: string[] | null;
  cache_seconds: number | null;
}

/** A key as shown to its owner; the key itself is shown once, when it is made or rotated. */
export interface KeyView {
  id: string;
  name: string;
  prefix: string;
  status: "active" | "disabled" | "revoked" | "expired";
  limits: Limits;
  models: string[] | null;
  allowed_ips: string[] | null;
  cache_seconds: number | null;
  expires_at: string | null;
  previous_expires_at: string | null;
  created_at: string;
  revoked_at: string | null;
  /** Exact to the minute. */
  last_used_at: string | null;
  /** The address it was last used from. */
  last_used_from: string | null;
}

export interface ApiKeys {
  list(userId: string, page: { page: number; page_size: number }): Promise<{ items: KeyView[]; total: number }>;
  get(userId: string, id: string): Promise<KeyView>;
  create(userId: string, settings: KeySettings): Promise<KeyView & { key: string }>;
  /** Changes what is given. A revoked key stays revoked (`invalid_state`). */
  update(userId: string, id: string, changes: Partial<KeySettings> & { status?: "active" | "disabled" | undefined }): Promise<KeyView>;
  /** A new secret for the same key; the old one works for `graceMs` more. A second rotation ends the first one's grace. */
  rotate(userId: string, id: string, graceMs: number): Promise<KeyView & { key: string }>;
  /** Revokes for good; doing it again changes nothing. */
  revoke(userId: string, id: string): Promise<KeyView>;
}

function present(row: ApiKeyRow, now = new Date()): KeyView {
  const expired = row.status !== "revoked" && row.expires_at !== null && row.expires_at <= now;
  const graceLeft = row.previous_expires_at !== null && row.previous_expires_at > now;
  return {
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    status: expired ? "expired" : row.status,
    limits: row.limits,
    models: row.models,
    allowed_ips: row.allowed_ips,
    cache_seconds: row.cache_seconds,
    expires_at: row.expires_at?.toISOString() ?? null,
    previous_expires_at: graceLeft ? row.previous_expires_at!.toISOString() : null,
    created_at: row.created_at.toISOString(),
    revoked_at: row.revoked_at?.toISOString() ?? null,
    last_used_at: row.last_used_at?.toISOString() ?? null,
    last_used_from: row.last_used_ip ?? null,
  };
}

/** Keys of people. Every change is announced in its transaction, so that all copies know within milliseconds of the commit. */
export function createApiKeys(deps: { sequelize: Sequelize; models: IdentityModels; changes: Changes }): ApiKeys {
  const { sequelize, changes } = deps;
  const { apiKeys } = deps.models;

  /** Runs a change on one key of this user, locked, and announces it. */
  async function change(userId: string, id: string, work: (row: ApiKeyRow) => Partial<ApiKeyRow>): Promise<KeyView> {
    const view = await sequelize.transaction(async (transaction) => {
      const found = await apiKeys.findOne({ where: { id, user_id: userId }, transaction, lock: transaction.LOCK.UPDATE });
      if (!found) throw appError("not_found");
      await found.update({ ...work(found.get({ plain: true })), updated_at: new Date() }, { transaction });
      await announce(queryable(transaction), "api_key", id);
      return present(found.get({ plain: true }));
    });
    changes.made("api_key", id);
    return view;
  }

  function queryable(transaction: Transaction): Queryable {
    const query = (sql: string, bind: unknown[]) => sequelize.query(sql, { bind, transaction, type: QueryTypes.SELECT });
    return { query } as unknown as Queryable;
  }

  return {
    async list(userId, { page, page_size }) {
      const { rows, count } = await apiKeys.findAndCountAll({
        where: { user_id: userId },
        order: [
          ["created_at", "DESC"],
          ["id", "DESC"],
        ],
        limit: page_size,
        offset: (page - 1) * page_size,
      });
      return { items: rows.map((row) => present(row.get({ plain: true }))), total: count };
    },

    async get(userId, id) {
      const found = await apiKeys.findOne({ where: { id, user_id: userId } });
      if (!found) throw appError("not_found");
      return present(found.get({ plain: true }));
    },

    async create(userId, settings) {
      if ((await apiKeys.count({ where: { user_id: userId, revoked_at: null } })) >= KEYS_MAX) {
        throw appError("conflict", { message: `There may be at most ${KEYS_MAX} keys; revoke one first` });
      }
      const { key, hash, prefix } = makeKey();
      const now = new Date();
      const made = await apiKeys.create({
        ...settings,
        id: uuidv7(),
        user_id: userId,
        hash,
        prefix,
        previous_hash: null,
        previous_expires_at: null,
        status: "active",
        created_at: now,
        updated_at: now,
        revoked_at: null,
      });
      return { ...present(made.get({ plain: true })), key };
    },

    update: (userId, id, changes) =>
      change(userId, id, (row) => {
        if (row.status === "revoked") throw appError("invalid_state", { message: "This key is revoked" });
        return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)) as Partial<ApiKeyRow>;
      }),

    async rotate(userId, id, graceMs) {
      const { key, hash, prefix } = makeKey();
      const view = await change(userId, id, (row) => {
        if (row.status !== "active") throw appError("invalid_state", { message: "Only an active key can be rotated" });
        return { hash, prefix, previous_hash: row.hash, previous_expires_at: new Date(Date.now() + graceMs) };
      });
      return { ...view, key };
    },

    revoke: (userId, id) => change(userId, id, (row) => (row.status === "revoked" ? {} : { status: "revoked", revoked_at: new Date() })),
  };
}
