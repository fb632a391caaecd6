import http from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { createSettings, type Settings } from "../../../src/admin/settings/index.ts";
import { settingsRoutes } from "../../../src/admin/settings/routes.ts";
import { errorHandler } from "../../../src/http/errorHandler.ts";
import { createExports } from "../../../src/http/exports.ts";
import { createIdempotency } from "../../../src/http/idempotency.ts";
import { mountRoutes } from "../../../src/http/mount.ts";
import type { Role } from "../../../src/http/principal.ts";
import { traceRequests } from "../../../src/http/trace.ts";
import { findUser, presentUser } from "../../../src/identity/users.ts";
import { createLedger, type Ledger } from "../../../src/ledger/index.ts";
import type { Clock } from "../../../src/platform/clock.ts";
import { createInvalidation } from "../../../src/platform/invalidation.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createMetrics, type Metrics } from "../../../src/platform/metrics.ts";
import { createPool, inTransaction, type Pool } from "../../../src/platform/postgres.ts";
import { createRewards, rewardSettings, type Rewards } from "../../../src/rewards/index.ts";
import { walletRoutes } from "../../../src/wallet/index.ts";
import type { Places } from "../../support/stack.ts";

/** Rewards and live settings behind real HTTP, on a real Postgres, with a clock that tests set. */

const silent = createLogger({ level: process.env["TEST_LOG_LEVEL"] ?? "silent", name: "test" });

export interface Answer<T = Record<string, unknown>> {
  status: number;
  headers: Headers;
  data: T;
  error?: { code: string; details?: Record<string, unknown> };
  message: string;
}

export interface Somebody {
  id: string;
  walletId: bigint;
  call<T = Record<string, unknown>>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
  total(): Promise<bigint>;
}

export interface Rig {
  pool: Pool;
  ledger: Ledger;
  rewards: Rewards;
  settings: Settings;
  metrics: Metrics;
  clock: Clock & { set(time: string | number): void };
  operator: Somebody;
  somebody(options?: { timeZone?: string; verified?: boolean; roles?: Role[]; since?: string; tier?: string }): Promise<Somebody>;
  /** Sets live settings as an operator would. */
  set(values: Record<string, unknown>): Promise<void>;
  /** A completed top-up, as payments note it. Credits in whole credits. */
  topUp(who: Somebody, credits: number): Promise<string>;
  /** A top-up is given back, as payments note it. */
  refund(orderNo: string): Promise<void>;
  /** Another copy of the product on the same database. */
  copy(): Promise<{ settings: Settings; close(): Promise<void> }>;
  close(): Promise<void>;
}

export async function rewardsRig(places: Places, options: { pool?: number } = {}): Promise<Rig> {
  const pool = createPool({ url: places.databaseUrl, max: options.pool ?? 10, name: "test", log: silent });
  const invalidation = createInvalidation({ url: places.databaseUrl, log: silent });
  const ledger = createLedger({ pool, log: silent, tolerance: { percent: 10, micro: 0n } });
  const metrics = createMetrics();
  let now: number | undefined;
  const clock = {
    now: () => new Date(now ?? Date.now()),
    set(time: string | number) {
      now = new Date(time).getTime();
    },
  };
  const settings = createSettings({ pool, invalidation, log: silent, groups: rewardSettings });
  const getUser = async (id: string) => {
    const user = await findUser(pool, id);
    return user && presentUser(user);
  };
  const rewards = createRewards({ pool, ledger, settings, getUser, log: silent, metrics, clock });
  await invalidation.start();

  const app = express();
  app.use(traceRequests);
  app.use(
    mountRoutes(
      [...rewards.routes, ...settingsRoutes(settings), ...walletRoutes({ pool, ledger, exports: createExports(), rate: 10_000_000n })],
      {
        idempotency: createIdempotency(pool),
        authenticate: async (req) => {
          const user = await findUser(pool, req.get("x-user") ?? uuidv7());
          if (!user) return undefined;
          return { userId: user.id, walletId: user.wallet_id, roles: user.roles, emailVerified: user.email_verified, sessionId: "test" };
        },
      },
    ),
  );
  app.use(errorHandler(silent));
  const server = http.createServer(app).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const rig: Omit<Rig, "operator"> = {
    pool,
    ledger,
    rewards,
    settings,
    metrics,
    clock,
    async somebody({ timeZone = "Asia/Shanghai", verified = true, roles = ["user"], since, tier = "free" } = {}) {
      const id = uuidv7();
      const walletId = await ledger.ensureWallet(pool, { type: "user", id });
      await pool.query(
        `INSERT INTO users (id, email, username, wallet_id, time_zone, email_verified, roles, tier, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, now() - interval '10 years'))`,
        [id, `${id}@example.com`, `u${id.replaceAll("-", "").slice(8)}`, walletId, timeZone, verified, roles, tier, since ?? null],
      );
      return {
        id,
        walletId,
        async call<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>) {
          const response = await fetch(url + path, {
            method,
            headers: { "x-user": id, ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          });
          const text = await response.text();
          const parsed = text.startsWith("{") ? (JSON.parse(text) as Partial<Answer<T>>) : {};
          return {
            status: response.status,
            headers: response.headers,
            data: parsed.data ?? ({} as T),
            ...(parsed.error ? { error: parsed.error } : {}),
            message: parsed.message ?? "",
          };
        },
        total: async () => (await ledger.balance(walletId)).total,
      };
    },
    async set(values) {
      const { version } = await settings.list();
      await settings.change({ userId: uuidv7(), traceId: "test" }, { version, reason: "test", values });
    },
    async topUp(who, credits) {
      const orderNo = `TK${uuidv7().replaceAll("-", "").toUpperCase().slice(2)}`;
      await inTransaction(pool, async (tx) => {
        await ledger.credit(tx, {
          id: `topup:${orderNo}`,
          walletId: who.walletId,
          amount: BigInt(credits) * 1_000_000n,
          from: "clearing:epay",
          source: "purchase",
          type: "PURCHASE",
          description: "Top-up",
          reference: orderNo,
        });
        await rewards.topUps.note(tx, { orderNo, userId: who.id, credits: BigInt(credits) * 1_000_000n });
      });
      return orderNo;
    },
    async refund(orderNo) {
      // The order is the rig's own: rewards hear of refunds from its status.
      await pool.query(
        `INSERT INTO topup_orders (order_no, user_id, wallet_id, provider, merchant, channel, amount, currency, rate, base_credits, status,
           trade_no, expires_at, completed_at)
         SELECT t.order_no, t.user_id, u.wallet_id, 'epay', '1', 'alipay', 1000, 'CNY', 10000000, t.credits, 'completed', t.order_no, now(), now()
         FROM reward_topups t JOIN users u ON u.id = t.user_id WHERE t.order_no = $1 ON CONFLICT (order_no) DO NOTHING`,
        [orderNo],
      );
      await pool.query("UPDATE topup_orders SET status = 'refunded' WHERE order_no = $1", [orderNo]);
    },
    async copy() {
      const other = createInvalidation({ url: places.databaseUrl, log: silent });
      await other.start();
      return { settings: createSettings({ pool, invalidation: other, log: silent, groups: rewardSettings }), close: () => other.stop() };
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await invalidation.stop();
      const proof = await ledger.verify();
      await ledger.close();
      await pool.end();
      if (!proof.balanced) throw new Error(`the ledger is not balanced: ${JSON.stringify(proof.differences)}`);
    },
  };
  return { ...rig, operator: await rig.somebody({ roles: ["user", "operator"] }) };
}

/** Fails with the differences when the ledger is not proven. */
export async function prove({ ledger }: Pick<Rig, "ledger">): Promise<void> {
  const proof = await ledger.verify();
  if (!proof.balanced) throw new Error(`the ledger is not balanced: ${JSON.stringify(proof.differences)}`);
}

/** What `GET /api/user/checkin` says. */
export interface CheckInOverview {
  checked_in_today: boolean;
  streak: number;
  next_reward: string;
  next_at: string | null;
  month: string;
  calendar: { day: string; kind: string; streak: number; reward: string }[];
  makeup: { days: string[]; price: string; left_this_month: number };
  records: Page<{ day: string }>;
}

export interface Page<T = Record<string, unknown>> {
  items: T[];
  total: number;
}
