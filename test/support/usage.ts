import type { Client } from "@temporalio/client";
import { createLedger, type Ledger } from "../../src/ledger/index.ts";
import { createOpenings } from "../../src/main/openings.ts";
import { MICRO } from "../../src/platform/credits.ts";
import { uuidv7 } from "../../src/platform/ids.ts";
import { createLogger } from "../../src/platform/logger.ts";
import { createPool, type Pool } from "../../src/platform/postgres.ts";
import { cost, type Pricing, type PriceVersion } from "../../src/pricing/index.ts";
import { createSettlement, createUsage, type Settlement, type Usage, type UsageEvent } from "../../src/usage/index.ts";

const none = {
  cachedInputPrice: null,
  cacheWritePrice: null,
  cacheWriteLongPrice: null,
  reasoningPrice: null,
  requestPrice: 0n,
  imagePrice: 0n,
  secondPrice: 0n,
  characterPrice: 0n,
  searchPrice: 0n,
};
const version = (id: bigint): PriceVersion => ({
  id,
  model: "test-model",
  version: Number(id),
  createdAt: new Date(0),
  inputPrice: 30n * id * MICRO,
  outputPrice: 60n * id * MICRO,
  ...none,
});

/** Price version 1: 30 credits per 1000 tokens in, 60 out. Version 2 is twice that. Any other number has no price. */
export const testPricing: Pick<Pricing, "cost" | "version"> = {
  version: async (id) => (id === 1n || id === 2n ? version(id) : undefined),
  cost,
};

export const silent = createLogger({ level: process.env["TEST_LOG"] ?? "silent", name: "test" });

/** A Temporal client that always fails at once: usage must work the same without it. */
export const noTemporal = {
  withDeadline: () => Promise.reject(new Error("14 UNAVAILABLE")),
} as unknown as Client;

/** Services of usage on a database, and short ways to make wallets and calls. */
export interface UsageRig {
  pool: Pool;
  ledger: Ledger;
  usage: Usage;
  settlement: Settlement;
  shards: number;
  wallet(credits: number): Promise<{ userId: string; walletId: bigint }>;
  /** A call of 1500 tokens in and 800 out (93 credits) whose hold is open, not yet recorded. */
  call(owner: { userId: string; walletId: bigint }, more?: Partial<UsageEvent>, holdCredits?: number): Promise<UsageEvent>;
  /** The stored row of a call. */
  row(id: string): Promise<Record<string, unknown> | undefined>;
  close(): Promise<void>;
}

export function usageRig(options: {
  url: string;
  shards?: number;
  temporal?: Client;
  pricing?: Pick<Pricing, "cost" | "version">;
}): UsageRig {
  const { url, shards = 1, temporal = noTemporal, pricing = testPricing } = options;
  const pool = createPool({ url, max: 10, name: "test", log: silent });
  const spentSince = createOpenings(pool, pricing);
  const ledger = createLedger({ pool, log: silent, tolerance: { percent: 10, micro: 100n * MICRO }, spentSince });
  const usage = createUsage({ pool, log: silent, temporal, shards });
  return {
    pool,
    ledger,
    usage,
    settlement: createSettlement({ pool, ledger, pricing, log: silent }),
    shards,
    async wallet(credits) {
      const userId = uuidv7();
      const walletId = await ledger.ensureWallet(pool, { type: "user", id: userId });
      await ledger.credit(pool, {
        id: `test:${userId}`,
        walletId,
        amount: BigInt(credits) * MICRO,
        from: "adjustments",
        source: "admin",
        type: "ADMIN",
        description: "test",
      });
      return { userId, walletId };
    },
    async call(owner, more = {}, holdCredits = 100) {
      const event = eventOf(owner, more);
      if (holdCredits > 0) {
        const outcome = await ledger.authorize({
          id: event.id,
          walletId: owner.walletId,
          amount: BigInt(holdCredits) * MICRO,
          owner: "test",
          ttlMs: 60_000,
        });
        if (outcome.kind !== "held") throw new Error(`not held: ${outcome.reason}`);
      }
      return event;
    },
    async row(id) {
      const { rows } = await pool.query<Record<string, unknown>>("SELECT * FROM usage_events WHERE id = $1", [id]);
      return rows[0];
    },
    async close() {
      await usage.stop();
      await ledger.close();
      await pool.end();
    },
  };
}

/** An event of 1500 tokens in and 800 out. */
export function eventOf(owner: { userId: string; walletId: bigint }, more: Partial<UsageEvent> = {}): UsageEvent {
  return {
    id: uuidv7(),
    requestId: null,
    userId: owner.userId,
    walletId: owner.walletId,
    keyId: null,
    model: "test-model",
    providerId: null,
    providerName: "test",
    route: "/v1/chat/completions",
    priceVersionId: 1n,
    tokens: { input: 1_500, cachedInput: 0, cacheWrite: 0, output: 800, reasoning: 0 },
    status: "ok",
    errorCode: null,
    estimated: false,
    startedAt: new Date(),
    firstChunkMs: 12.4,
    durationMs: 345.6,
    httpStatus: 200,
    clientIp: "127.0.0.1",
    retryCount: 0,
    stream: true,
    upstreamRequestId: null,
    ...more,
  };
}
