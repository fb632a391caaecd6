import type { AddressInfo } from "node:net";
import express from "express";
import { createSharedLimits, limitRoutes, type SharedLimits } from "../../../src/gateway/limits/index.ts";
import { createCatalog, providerRoutes, type Catalog } from "../../../src/gateway/providers/index.ts";
import { createRouting, type Routing } from "../../../src/gateway/routing/index.ts";
import { errorHandler } from "../../../src/http/errorHandler.ts";
import type { Idempotency } from "../../../src/http/idempotency.ts";
import { mountRoutes } from "../../../src/http/mount.ts";
import type { Principal } from "../../../src/http/principal.ts";
import { traceRequests } from "../../../src/http/trace.ts";
import { createInvalidation, type Invalidation } from "../../../src/platform/invalidation.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createPool, type Pool } from "../../../src/platform/postgres.ts";
import { createRedis } from "../../../src/platform/redis.ts";
import { createSecretBox, type SecretBox } from "../../../src/platform/secrets.ts";
import { createPricing, pricingRoutes, type Pricing } from "../../../src/pricing/index.ts";
import { waitFor } from "../../support/stack.ts";

/** One copy of the catalog's part of the api, on a port of its own. */
export interface Copy {
  url: string;
  pool: Pool;
  pricing: Pricing;
  catalog: Catalog;
  limits: SharedLimits;
  secretBox: SecretBox;
  invalidation: Invalidation;
  routing: Routing;
  call(method: string, path: string, body?: unknown, as?: keyof typeof PEOPLE): Promise<Answer>;
  stop(): Promise<void>;
}

export interface Answer {
  status: number;
  body: {
    success: boolean;
    message: string;
    data: Record<string, unknown> & { id: string; items: Record<string, unknown>[]; total: number };
    error?: { code: string; details?: unknown };
  };
}

const ID = "00000000-0000-7000-8000-000000000001";
const PEOPLE = {
  operator: { userId: ID, walletId: 1n, roles: ["operator"], emailVerified: true, sessionId: "s" },
  somebody: { userId: ID, walletId: 1n, roles: ["user"], emailVerified: true, sessionId: "s" },
} satisfies Record<string, Principal>;

export const OPERATOR_ID = ID;
const log = createLogger({ level: "silent", name: "test" });
const ROUTING = {
  circuit: { enabled: true, windowMs: 10_000, minCalls: 2, failurePercent: 50, coolDownMs: 60_000 },
  keys: { refusedMs: 60_000, limitedMs: 1_000 },
  retry: { maxAttempts: 1, baseMs: 1, capMs: 1, withinMs: 1, percent: 0 },
};
const never: Idempotency = { once: (_call, work) => work() };

export async function startCopy(options: {
  databaseUrl: string;
  redisUrl?: string;
  allowPrivate?: boolean;
  antinomyKey?: string;
}): Promise<Copy> {
  const pool = createPool({ url: options.databaseUrl, max: 4, name: "test", log });
  const invalidation = createInvalidation({ url: options.databaseUrl, log });
  await invalidation.start();
  const secretBox = createSecretBox([{ id: "k", secret: Buffer.alloc(32, 7) }]);
  const timeouts = { connectMs: 1_000, firstByteMs: 2_000, wholeMs: 2_500, idleMs: 3_000, totalMs: 4_000 };
  const pricing = createPricing({ pool, invalidation });
  const catalog = createCatalog({ pool, invalidation, secretBox, timeouts, log });
  const redis = createRedis({ url: options.redisUrl ?? "redis://127.0.0.1:1", log });
  const routing = createRouting({ redis, log, config: ROUTING, incident: () => undefined });
  routing.start();
  const limits = createSharedLimits({ pool, invalidation });
  const routes = [
    ...limitRoutes({ pool, pricing, limits }),
    ...pricingRoutes({ pool, pricing, tierExists: async (name) => ["free", "pro"].includes(name) }),
    ...providerRoutes({
      pool,
      secretBox,
      catalog,
      routing,
      allowPrivate: options.allowPrivate ?? true,
      timeouts,
      presetKeys: { antinomy: options.antinomyKey },
    }),
  ];
  const app = express();
  app.set("query parser", "simple");
  app.use(traceRequests);
  app.use(mountRoutes(routes, { authenticate: async (req) => PEOPLE[req.get("x-as") as keyof typeof PEOPLE], idempotency: never }));
  app.use(errorHandler(log));
  const server = app.listen(0, "127.0.0.1");
  await waitFor(() => server.listening);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    pool,
    pricing,
    catalog,
    limits,
    secretBox,
    invalidation,
    routing,
    async call(method, path, body, as = "operator") {
      const response = await fetch(url + path, {
        method,
        headers: { "content-type": "application/json", "x-as": as },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, body: (text ? JSON.parse(text) : {}) as Answer["body"] };
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      routing.stop();
      redis.disconnect();
      await invalidation.stop();
      await pool.end();
    },
  };
}
