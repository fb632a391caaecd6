import type { AddressInfo } from "node:net";
import { createBus, type Bus } from "../../../src/activity/index.ts";
import { loadConfig, type Config } from "../../../src/config/index.ts";
import { createGateway, type Gateway } from "../../../src/gateway/index.ts";
import { createSharedLimits } from "../../../src/gateway/limits/index.ts";
import { createCatalog, type Catalog } from "../../../src/gateway/providers/index.ts";
import { createHttpServer } from "../../../src/http/server.ts";
import { createChanges } from "../../../src/identity/changes.ts";
import { createKeyAuthenticator } from "../../../src/identity/keyCache.ts";
import { makeKey } from "../../../src/identity/keyFormat.ts";
import { createSessionCallers } from "../../../src/identity/sessionCallers.ts";
import { createAccessTokens } from "../../../src/identity/tokens.ts";
import { createLedger, type Ledger } from "../../../src/ledger/index.ts";
import { parseCredits } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createInvalidation, type Invalidation } from "../../../src/platform/invalidation.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createMetrics, type Metrics } from "../../../src/platform/metrics.ts";
import { createPool, type Pool } from "../../../src/platform/postgres.ts";
import { createRedis, type Redis } from "../../../src/platform/redis.ts";
import { createSecretBox } from "../../../src/platform/secrets.ts";
import type { Tracing } from "../../../src/platform/tracing/index.ts";
import { createPricing, type Pricing } from "../../../src/pricing/index.ts";
import { createOpenings } from "../../../src/main/openings.ts";
import { createTiers } from "../../../src/quotas/index.ts";
import { createSettlement, createSettlementTrace, reportIncidents, type Settlement } from "../../../src/usage/index.ts";
import { waitFor } from "../../support/waitFor.ts";
import { createRecorderMetrics } from "../../../src/usage/metrics.ts";
import { createRecorder, type Recorder } from "../../../src/usage/recorder.ts";
import type { Customer, CustomerOptions, EventRow, ModelOptions } from "./people.ts";

export type { Customer, CustomerOptions, EventRow, ModelOptions } from "./people.ts";

/** The relay on real parts, in this process; only settlement is called by hand, so that a test sees a charge at once. */
export interface Relay {
  url: string;
  gateway: Gateway;
  pool: Pool;
  ledger: Ledger;
  usage: Recorder;
  metrics: Metrics;
  redis: Redis;
  invalidation: Invalidation;
  catalog: Catalog;
  pricing: Pricing;
  settlement: Settlement;
  /** A verified user with credit and a key. */
  customer(options?: CustomerOptions): Promise<Customer>;
  /** Opens a session of a customer's; answers its access token and its id. */
  signIn(customer: Customer): Promise<{ token: string; sessionId: string }>;
  /** A priced model served by these base URLs, the first one first. */
  model(baseUrls: string[], options?: ModelOptions): Promise<string>;
  /** Settles everything that is recorded. */
  settle(): Promise<void>;
  /** The newest record of a wallet, written or free. */
  lastEvent(customer: Customer): Promise<EventRow | undefined>;
  balance(customer: Customer): Promise<{ total: string; held: string }>;
  close(): Promise<void>;
}

const ENVIRONMENT = {
  NODE_ENV: "test",
  TEMPORAL_ADDRESS: "127.0.0.1:1",
  JWT_SECRETS: `t:${"x".repeat(32)}`,
  HASH_SECRET: "x".repeat(32),
  ENCRYPTION_KEYS: `t:${Buffer.alloc(32, 1).toString("base64")}`,
  UPSTREAM_PRIVATE_ADDRESSES: "true",
  // One fault, one request: what routing makes of faults has tests of its own.
  RELAY_MAX_ATTEMPTS: "1",
  UPSTREAM_STOP_TIMEOUT: "1s",
  CIRCUIT_BREAKER: "false",
  PROVIDER_KEY_REST: "0ms",
  PROVIDER_RATE_LIMIT_REST: "0ms",
};

const micro = (text: string): bigint => parseCredits(text)!;

/** Starts a relay on a migrated database and a Redis; `env` overrides settings. */
export async function startRelay(
  places: { databaseUrl: string; redisUrl: string },
  env: Record<string, string> = {},
  more: { tracing?: Tracing; metrics?: Metrics; events?: Bus } = {},
): Promise<Relay> {
  const { tracing, metrics = createMetrics(), events = createBus() } = more;
  const config: Config = loadConfig({ ...ENVIRONMENT, DATABASE_URL: places.databaseUrl, REDIS_URL: places.redisUrl, ...env });
  const log = createLogger({ level: env["LOG_LEVEL"] ?? "silent", name: "test" });
  const pool = createPool({ url: places.databaseUrl, max: 10, name: "relay-test", log, connectTimeoutMs: 1_000 });
  const invalidation = createInvalidation({ url: places.databaseUrl, log });
  const redis = createRedis({ url: places.redisUrl, log });
  const secretBox = createSecretBox(config.ENCRYPTION_KEYS);
  const pricing: Pricing = createPricing({ pool, invalidation });
  const ledger = createLedger({
    pool,
    log,
    tolerance: { percent: config.SETTLE_TOLERANCE_PERCENT, micro: config.SETTLE_TOLERANCE_CREDITS },
    spentSince: createOpenings(pool, pricing),
    metrics,
  });
  const tiers = createTiers({ pool, invalidation, requestsPerMinute: config.REQUESTS_PER_MINUTE });
  const usage = createRecorder({
    pool,
    log,
    shards: 1,
    nudger: { nudge: () => undefined, stop: () => Promise.resolve() },
    metrics: createRecorderMetrics(metrics),
  });
  const settlement = createSettlement({ pool, ledger, pricing, log, trace: tracing && createSettlementTrace({ tracing, redis }) });
  const catalog = createCatalog({
    pool,
    invalidation,
    secretBox,
    log,
    timeouts: {
      connectMs: config.UPSTREAM_CONNECT_TIMEOUT,
      firstByteMs: config.UPSTREAM_FIRST_BYTE_TIMEOUT,
      wholeMs: config.UPSTREAM_WHOLE_TIMEOUT,
      idleMs: config.UPSTREAM_IDLE_TIMEOUT,
      totalMs: config.UPSTREAM_TOTAL_TIMEOUT,
    },
  });
  const limits = createSharedLimits({ pool, invalidation });
  const changes = createChanges(invalidation);
  const tokens = createAccessTokens({ secrets: config.JWT_SECRETS, ttlMs: config.ACCESS_TOKEN_TTL });
  const gateway = createGateway({
    identity: {
      authenticateKey: createKeyAuthenticator({ pool, tiers, changes }),
      authenticateSession: createSessionCallers({ pool, tiers, tokens, changes }),
      noteUse: () => undefined,
    },
    pricing,
    ledger,
    usage,
    catalog,
    limits,
    invalidation,
    pool,
    redis,
    config,
    log,
    metrics,
    events,
    tracing,
    incident: (incident) => void reportIncidents(pool, [incident]).catch(() => undefined),
  });
  const server = createHttpServer((req, res) => {
    if (!gateway.handle(req, res)) res.writeHead(404).end();
  });
  await Promise.all([invalidation.start(), gateway.ready, new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))]);

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    gateway,
    pool,
    ledger,
    usage,
    metrics,
    redis,
    invalidation,
    catalog,
    pricing,
    settlement,
    async customer(options = {}) {
      const userId = uuidv7();
      const keyId = uuidv7();
      const made = makeKey();
      const walletId = await ledger.ensureWallet(pool, { type: "user", id: userId });
      await pool.query(
        "INSERT INTO users (id, email, username, email_verified, status, limits, wallet_id) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
          userId,
          `${userId}@example.com`,
          userId.slice(-12),
          options.verified ?? true,
          options.status ?? "active",
          options.userLimits ?? { max_parallel: 10_000, requests_per_minute: 1_000_000 },
          walletId,
        ],
      );
      await pool.query(
        "INSERT INTO api_keys (id, user_id, name, hash, prefix, limits, models, allowed_ips) VALUES ($1, $2, 'test', $3, $4, $5, $6, $7)",
        [keyId, userId, made.hash, made.prefix, options.keyLimits ?? {}, options.models ?? null, options.allowedIps ?? null],
      );
      if (options.credits !== "0") {
        await ledger.credit(pool, {
          id: uuidv7(),
          walletId,
          amount: micro(options.credits ?? "1000"),
          from: "adjustments",
          source: "admin",
          type: "ADMIN",
          description: "test",
        });
      }
      return { userId, keyId, key: made.key, walletId };
    },
    async signIn({ userId }) {
      const sessionId = uuidv7();
      await pool.query(
        "INSERT INTO sessions (id, user_id, ip, created_at, last_used_at, expires_at) VALUES ($1, $2, '127.0.0.1', now(), now(), now() + interval '1 day')",
        [sessionId, userId],
      );
      return { token: tokens.sign({ userId, sessionId }), sessionId };
    },
    async model(baseUrls, options = {}) {
      const name = `model-${uuidv7().slice(-12)}`;
      await pool.query("INSERT INTO models (name, max_output_tokens, status) VALUES ($1, $2, $3)", [
        name,
        options.maxOutput === undefined ? 1_000 : options.maxOutput,
        options.status ?? "active",
      ]);
      for (const [column, value] of Object.entries(options.columns ?? {})) {
        await pool.query(`UPDATE models SET ${column} = $2 WHERE name = $1`, [name, value]);
      }
      if (options.priced !== false) {
        const prices = Object.entries({ input_price: options.input ?? "30", output_price: options.output ?? "60", ...options.prices });
        await pool.query(
          `INSERT INTO price_versions (model, version, ${prices.map(([column]) => column).join(", ")})
           VALUES ($1, 1, ${prices.map((_, i) => `$${i + 2}`).join(", ")})`,
          [name, ...prices.map(([, credits]) => micro(credits))],
        );
      }
      for (const [i, baseUrl] of baseUrls.entries()) {
        const providerId = uuidv7();
        const own = options.providers?.[i];
        await pool.query(
          `INSERT INTO providers (id, name, base_url, api_keys, priority, timeouts, config, api_format, weight)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
          [
            providerId,
            `provider-${providerId.slice(-8)}`,
            baseUrl,
            (own?.keys ?? ["upstream-key"]).map((key) => secretBox.seal(key)),
            own?.priority ?? 10 - i,
            options.timeouts ?? {},
            own?.config ?? options.config ?? {},
            own?.apiFormat ?? options.apiFormat ?? "openai",
            own?.weight ?? 1,
          ],
        );
        await pool.query(
          `INSERT INTO provider_models (id, provider_id, model_name, upstream_model, input_price, output_price, price_currency)
           VALUES ($1, $2, $3, 'upstream-model', $4, $5, $6)`,
          [
            uuidv7(),
            providerId,
            name,
            options.cost ? micro(options.cost.input) : null,
            options.cost ? micro(options.cost.output) : null,
            options.cost?.currency ?? "CREDITS",
          ],
        );
      }
      await pool.query("SELECT pg_notify('tollkeeper_changed', 'model:*'), pg_notify('tollkeeper_changed', 'provider:*')");
      await waitFor(
        async () =>
          ((await pricing.model(name)) || options.status === "inactive") && (await catalog.route(name)).length === baseUrls.length,
        {
          timeoutMs: 5_000,
          message: "the announcement of the model",
        },
      );
      return name;
    },
    async settle() {
      while ((await settlement.settleBatch(0, 500)).taken > 0);
    },
    async lastEvent(customer) {
      const { rows } = await pool.query<EventRow>("SELECT * FROM usage_events WHERE wallet_id = $1 ORDER BY id DESC LIMIT 1", [
        customer.walletId,
      ]);
      return rows[0];
    },
    async balance(customer) {
      const { total, held } = await ledger.balance(customer.walletId);
      return { total: total.toString(), held: held.toString() };
    },
    async close() {
      await gateway.drain(500);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await gateway.close();
      await usage.stop(500);
      await ledger.close();
      await invalidation.stop();
      redis.disconnect();
      await pool.end();
    },
  };
}
