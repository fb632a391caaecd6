import http from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { errorHandler } from "../../../src/http/errorHandler.ts";
import { createIdempotency } from "../../../src/http/idempotency.ts";
import { mountRoutes } from "../../../src/http/mount.ts";
import type { Route } from "../../../src/http/route.ts";
import { traceRequests } from "../../../src/http/trace.ts";
import { payingAccounts } from "../../../src/identity/payers.ts";
import { heldRuns } from "../../../src/gateway/dify/runs/index.ts";
import { createLedger, type Ledger } from "../../../src/ledger/index.ts";
import { MICRO, parseCredits } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createInvalidation } from "../../../src/platform/invalidation.ts";
import { createPool, type Pool } from "../../../src/platform/postgres.ts";
import { createModelAdmin, createPricing, type Pricing } from "../../../src/pricing/index.ts";
import {
  createDifyUsage,
  createDifyWebhook,
  createSettlement,
  createUsage,
  type Settlement,
  type Usage,
} from "../../../src/usage/index.ts";
import type { EventView } from "../../../src/usage/dify/inbox.ts";
import type { DifyWebhookDeps } from "../../../src/usage/dify/index.ts";
import { messageEnd, signed, WEBHOOK_KEY, WEBHOOK_SECRET, type MessageEnd, type Signing } from "../../support/dify.ts";
import { noTemporal, silent } from "../../support/usage.ts";

/** What was answered, as text and read. */
export interface Answered<Data = unknown> {
  status: number;
  text: string;
  body: {
    success: boolean;
    message: string;
    data: Data;
    error?: { code: string; details: Record<string, unknown> & { field: string }[] };
    trace_id?: string;
  };
}

/** What the webhook says of a message that it charged. */
export interface Deduction {
  consumptionId: string;
  pointsDeducted: number;
  tokensUsed: number;
}

export interface Page<Item> {
  items: Item[];
  total: number;
}

export interface Person {
  userId: string;
  walletId: bigint;
}

/** The webhook and its operators' routes on a real Postgres; Temporal and Redis are away. */
export interface DifyRig {
  url: string;
  pool: Pool;
  ledger: Ledger;
  pricing: Pricing;
  settlement: Settlement;
  usage: Usage;
  /** Of the webhook, for a router elsewhere. */
  webhook: DifyWebhookDeps;
  /** What the worker does with open events. */
  sweep(): Promise<{ charged: number; closed: number }>;
  person(credits: number, tier?: string): Promise<Person>;
  credit(person: Person, credits: number): Promise<void>;
  balance(person: Person): Promise<{ total: bigint; held: bigint; available: bigint; shortfall: bigint }>;
  /** A model at 30 and 60 credits per 1000 tokens. */
  model(name: string, more?: { aliases?: string[]; input?: string; output?: string; priced?: boolean }): Promise<void>;
  price(name: string, input: string, output: string): Promise<void>;
  /** Sends a message_end, signed. */
  send(body: MessageEnd, signing?: Signing): Promise<Answered<Deduction>>;
  /** Sends anything. */
  raw(raw: string | Buffer, headers: Record<string, string>): Promise<Answered<Deduction>>;
  admin<Data = EventView>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answered<Data>>;
  close(): Promise<void>;
}

export const message = messageEnd;

export async function startDify(
  databaseUrl: string,
  options: {
    keys?: string[];
    secrets?: string[];
    connections?: number;
    totals?: "keep" | "charge";
    more?: (pool: Pool, webhook: DifyWebhookDeps) => Route[];
  } = {},
): Promise<DifyRig> {
  const pool = createPool({ url: databaseUrl, max: options.connections ?? 10, name: "test-dify", log: silent });
  const invalidation = createInvalidation({ url: databaseUrl, log: silent });
  await invalidation.start();
  const ledger = createLedger({ pool, log: silent, tolerance: { percent: 10, micro: 100n * MICRO } });
  const pricing = createPricing({ pool, invalidation });
  const settlement = createSettlement({ pool, ledger, pricing, log: silent });
  const usage = createUsage({ pool, log: silent, temporal: noTemporal, shards: 1 });
  const models = createModelAdmin({ pool, changed: () => pricing.drop() });
  const deps = {
    pool,
    log: silent,
    ledger,
    pricing,
    settlement,
    accountsOf: (ids: readonly string[]) => payingAccounts(pool, ids),
    invalidation,
    shards: 1,
    totals: options.totals ?? ("keep" as const),
    heldRuns,
  };
  const webhook = createDifyWebhook({
    ...deps,
    apiKeys: options.keys ?? [WEBHOOK_KEY],
    secrets: options.secrets ?? [WEBHOOK_SECRET],
    debug: false,
  });
  const worker = createDifyUsage(deps);
  const operator = { userId: uuidv7(), walletId: 0n, roles: ["operator"], emailVerified: true, sessionId: "s" } as const;
  const app = express();
  app.set("query parser", "simple");
  app.use(traceRequests);
  const routes = [...webhook.routes, ...(options.more?.(pool, webhook.deps) ?? [])];
  app.use(mountRoutes(routes, { authenticate: async () => operator, idempotency: createIdempotency(pool) }));
  app.use(errorHandler(silent));
  const server = http.createServer(app).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

  function ask<Data>(
    method: string,
    path: string,
    raw: string | Buffer | undefined,
    headers: Record<string, string>,
  ): Promise<Answered<Data>> {
    return new Promise((resolve, reject) => {
      const req = http.request(url + path, { method, headers, agent }, (res) => {
        const chunks: Buffer[] = [];
        res.on("data", (chunk: Buffer) => chunks.push(chunk));
        res.on("error", reject);
        res.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: res.statusCode!, text, body: (text === "" ? {} : JSON.parse(text)) as Answered<Data>["body"] });
        });
      });
      req.on("error", reject);
      req.end(raw);
    });
  }

  const credit = async ({ walletId }: Person, credits: number) => {
    const id = uuidv7();
    await ledger.credit(pool, {
      id: `test:${id}`,
      walletId,
      amount: BigInt(credits) * MICRO,
      from: "clearing:test",
      source: "purchase",
      type: "PURCHASE",
      description: "top-up",
    });
  };

  return {
    url,
    pool,
    ledger,
    pricing,
    settlement,
    usage,
    webhook: webhook.deps,
    sweep: worker.sweep,
    async person(credits, tier = "free") {
      const userId = uuidv7();
      const walletId = await ledger.ensureWallet(pool, { type: "user", id: userId });
      await pool.query("INSERT INTO users (id, email, username, wallet_id, tier) VALUES ($1, $2, $3, $4, $5)", [
        userId,
        `${userId}@example.com`,
        userId.slice(-12),
        walletId,
        tier,
      ]);
      const person = { userId, walletId };
      if (credits > 0) await credit(person, credits);
      return person;
    },
    credit,
    balance: ({ walletId }) => ledger.balance(walletId),
    async model(name, { aliases = [], input = "30", output = "60", priced = true } = {}) {
      const prices = priced ? { input_price: parseCredits(input)!, output_price: parseCredits(output)! } : {};
      await models.create({ name, aliases, ...prices }, { userId: null, traceId: null });
    },
    async price(name, input, output) {
      await models.change(
        name,
        { input_price: parseCredits(input)!, output_price: parseCredits(output)! },
        { userId: null, traceId: null },
      );
    },
    send(body, signing) {
      const raw = JSON.stringify(body);
      return ask("POST", "/api/dify/webhook", raw, signed(raw, signing));
    },
    raw: (raw, headers) => ask("POST", "/api/dify/webhook", raw, headers),
    admin: (method, path, body, headers = {}) =>
      ask(
        method,
        path,
        body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
        body === undefined ? headers : { "content-type": "application/json", ...headers },
      ),
    async close() {
      agent.destroy();
      await new Promise((resolve) => server.close(resolve));
      await webhook.stop();
      await usage.stop();
      await ledger.close();
      await invalidation.stop();
      await pool.end();
    },
  };
}
