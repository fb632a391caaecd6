import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Client } from "@temporalio/client";
import express from "express";
import { createPaymentActivities } from "../../../activities/payments.ts";
import { errorHandler } from "../../../src/http/errorHandler.ts";
import { createExports } from "../../../src/http/exports.ts";
import { createIdempotency } from "../../../src/http/idempotency.ts";
import { mountRoutes } from "../../../src/http/mount.ts";
import { traceRequests } from "../../../src/http/trace.ts";
import { createLedger, type Ledger } from "../../../src/ledger/index.ts";
import { startWorker, type RunningWorker } from "../../../src/main/worker-runtime.ts";
import { createNotify, type Notify } from "../../../src/notify/index.ts";
import {
  createPayments,
  createPaymentSteps,
  paymentRoutes,
  type PaymentConfig,
  type TopUpSteps,
  type TopUpTimings,
} from "../../../src/payments/index.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createPool, type Pool } from "../../../src/platform/postgres.ts";
import { createBlockingRedis } from "../../../src/platform/redis.ts";
import { createTemporalLink } from "../../../src/platform/temporal.ts";
import { walletRoutes } from "../../../src/wallet/index.ts";
import { type Places, waitFor } from "../../support/stack.ts";
import type { Answer, Order } from "./answers.ts";
import { KEY, PID } from "./sandbox.ts";

export type { Answer, Bill, Entry, List, Order } from "./answers.ts";
export { KEY, PID, startSandbox, type Sandbox } from "./sandbox.ts";

/** Payments on real servers: an api, a worker in this process, and the sandbox as a process of its own. */

const silent = createLogger({ level: process.env["TEST_LOG_LEVEL"] ?? "silent", name: "test" });

/** Short enough for tests, in the proportions of the real ones. */
export const QUICK: TopUpTimings = {
  poll: { firstMs: 200, factor: 1.5, maxMs: 500 },
  latePoll: { firstMs: 300, factor: 1.5, maxMs: 1_000 },
  lateWatchMs: 60_000,
  confirmMs: 5_000,
  queriesPerRun: 1_000,
};
/** The provider is never asked on the clock's account: only callbacks count. */
export const DEAF: TopUpTimings = { ...QUICK, poll: { firstMs: 3_600_000, factor: 1, maxMs: 3_600_000 } };

export interface Person {
  id: string;
  walletId: bigint;
  call<T = unknown>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
  /** Makes an order; throws when it is refused. */
  order(amount?: string, headers?: Record<string, string>): Promise<Order>;
  total(): Promise<string>;
}

export interface Rig {
  pool: Pool;
  ledger: Ledger;
  notify: Notify;
  steps: TopUpSteps;
  client: Client;
  url: string;
  config: PaymentConfig;
  person(verified?: boolean): Promise<Person>;
  status(order: { order_no: string }): Promise<string>;
  /** Waits until the order has this state. */
  until(order: { order_no: string }, status: string, timeoutMs?: number): Promise<void>;
  send(
    query: string,
    options?: { method?: string; body?: string; type?: string; provider?: string },
  ): Promise<{ status: number; text: string }>;
  startWorker(): RunningWorker;
  close(): Promise<void>;
}

export interface RigOptions {
  places: Places;
  sandbox: string;
  config?: Partial<PaymentConfig>;
  timings?: TopUpTimings;
  /** Another address than the servers', to play an absent Temporal. */
  temporalAddress?: string;
  worker?: boolean;
  /** One of its own where two workers share a namespace. */
  taskQueue?: string;
}

export async function startRig(options: RigOptions): Promise<Rig> {
  const { places, timings = QUICK, taskQueue = "billing" } = options;
  const pool = createPool({ url: places.databaseUrl, max: 20, name: "test", log: silent });
  const redis = createBlockingRedis({ url: places.redisUrl, log: silent });
  const ledger = createLedger({ pool, log: silent, tolerance: { percent: 10, micro: 100_000_000n } });
  const notify = createNotify({ redis, log: silent });
  const address = options.temporalAddress ?? places.temporalAddress;
  const link = createTemporalLink({ address, namespace: places.namespace, uiUrl: "http://ui.test", log: silent });
  const config: PaymentConfig = {
    PUBLIC_URL: "http://127.0.0.1:1",
    CREDITS_PER_YUAN: 10_000_000n,
    TOPUP_MIN: 100n,
    TOPUP_MAX: 5_000_000n,
    TOPUP_BONUS_TIERS: ["100:5", "500:10"],
    TOPUP_ORDER_TTL: 1_800_000,
    TOPUP_LATE_WATCH: timings.lateWatchMs,
    TOPUP_QUERY_ABOVE: 1_000_000n,
    EPAY_URL: `${options.sandbox}/epay`,
    EPAY_PID: PID,
    EPAY_KEY: KEY,
    EPAY_TYPES: ["alipay", "wxpay"],
    EPAY_KEY_SEPARATOR: "",
    ...options.config,
  };
  const app = express();
  app.set("query parser", "simple");
  const server = http.createServer(app).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  config.PUBLIC_URL = url;
  const common = { pool, log: silent, temporal: link.client, config, timings, taskQueue };
  const steps = createPaymentSteps({
    ...common,
    ledger,
    notify,
    contact: async (userId) => ({ email: `${userId}@example.com`, locale: "en", name: "Ada" }),
  });
  app.use(traceRequests);
  app.use(
    mountRoutes(
      [
        ...paymentRoutes(createPayments(common), link),
        ...walletRoutes({ pool, ledger, exports: createExports(), rate: config.CREDITS_PER_YUAN }),
      ],
      {
        idempotency: createIdempotency(pool),
        authenticate: async (req) => {
          const userId = req.get("x-user");
          if (!userId) return undefined;
          return {
            userId,
            walletId: BigInt(req.get("x-wallet") ?? 0),
            roles: ["user"],
            emailVerified: req.get("x-verified") !== "no",
            sessionId: "test",
          };
        },
      },
    ),
  );
  app.use(errorHandler(silent));

  const workers: RunningWorker[] = [];
  const rig: Rig = {
    pool,
    ledger,
    notify,
    steps,
    client: link.client,
    url,
    config,
    async person(verified = true) {
      const id = uuidv7();
      const walletId = await ledger.ensureWallet(pool, { type: "user", id });
      await pool.query("INSERT INTO users (id, email, username, wallet_id) VALUES ($1, $2, $3, $4)", [
        id,
        `${id}@example.com`,
        `u${id.replaceAll("-", "").slice(8)}`,
        walletId,
      ]);
      const call: Person["call"] = async <T>(method: string, path: string, body?: unknown, headers?: Record<string, string>) => {
        const response = await fetch(url + path, {
          method,
          headers: {
            "x-user": id,
            "x-wallet": walletId.toString(),
            ...(verified ? {} : { "x-verified": "no" }),
            ...(body === undefined ? {} : { "content-type": "application/json" }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
        });
        const text = await response.text();
        const parsed = (text.startsWith("{") ? JSON.parse(text) : {}) as Partial<Answer<T>>;
        const { data = {} as T, error = { code: "", details: [] }, message = "" } = parsed;
        return { status: response.status, text, data, error, message };
      };
      return {
        id,
        walletId,
        call,
        async order(amount = "50.00", headers) {
          const answer = await call<Order>(
            "POST",
            "/api/topup/orders",
            { amount, currency: "CNY", method: "epay", channel: "alipay" },
            headers,
          );
          if (answer.status !== 201) throw new Error(`order: ${answer.status} ${answer.text}`);
          return answer.data;
        },
        total: async () => (await call<{ total: string }>("GET", "/api/user/balance")).data.total,
      };
    },
    async status({ order_no }) {
      const { rows } = await pool.query<{ status: string }>("SELECT status FROM topup_orders WHERE order_no = $1", [order_no]);
      return rows[0]?.status ?? "none";
    },
    async until(order, status, timeoutMs = 15_000) {
      let seen = "";
      await waitFor(async () => (seen = await rig.status(order)) === status, {
        timeoutMs,
        message: () => `the order to be ${status}, it is ${seen}`,
      });
    },
    async send(query, { method = "GET", body, type, provider = "epay" } = {}) {
      const response = await fetch(`${url}/api/payments/${provider}/notify${query ? `?${query}` : ""}`, {
        method,
        ...(body === undefined ? {} : { body, headers: { "content-type": type ?? "application/x-www-form-urlencoded" } }),
      });
      return { status: response.status, text: await response.text() };
    },
    startWorker() {
      const worker = startWorker({
        address: places.temporalAddress,
        namespace: places.namespace,
        taskQueue,
        activities: createPaymentActivities({ topUpSteps: steps }),
        client: link.client,
        graceMs: 2_000,
        log: silent,
      });
      workers.push(worker);
      return worker;
    },
    async close() {
      for (const worker of workers) await worker.stop();
      server.closeAllConnections();
      server.close();
      await notify.close();
      redis.disconnect();
      await link.close();
      await ledger.close();
      await pool.end();
    },
  };
  if (options.worker !== false) {
    const worker = rig.startWorker();
    await waitFor(() => worker.running, { timeoutMs: 30_000, message: "the worker" });
  }
  return rig;
}

/** Fails with the differences when the ledger is not proven. */
export async function prove(rig: Rig): Promise<void> {
  const proof = await rig.ledger.verify();
  if (!proof.balanced) throw new Error(`the ledger is not balanced: ${JSON.stringify(proof.differences)}`);
}
