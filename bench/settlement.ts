import { setTimeout as delay } from "node:timers/promises";
import { Client, Connection } from "@temporalio/client";
import { createUsageActivities } from "../activities/usage.ts";
import { createLedger } from "../src/ledger/index.ts";
import { startWorker } from "../src/main/worker-runtime.ts";
import { MICRO } from "../src/platform/credits.ts";
import { uuidv7 } from "../src/platform/ids.ts";
import { createLogger } from "../src/platform/logger.ts";
import { createPool } from "../src/platform/postgres.ts";
import { cost, type PriceVersion } from "../src/pricing/index.ts";
import {
  BILLING_QUEUE,
  createDrain,
  createHousekeeping,
  createSettlement,
  createUsage,
  startSettlements,
  type UsageEvent,
} from "../src/usage/index.ts";

const ROUNDS = 3;
const BACKLOG = 20_000;
const WALLETS = 50;
const LIVE_MS = 4_000;
const LIVE_CALLERS = 32;

export interface SettlementResult {
  shards: number;
  /** A backlog of calls of 50 wallets, from the first charge to the last; median of the rounds. */
  settledPerSecond: number;
  /** Calls recorded by 32 callers who each hold, record and begin again, while settlement runs beside them. */
  liveRecordedPerSecond: number;
  /** From the record to the charge in that run. */
  liveLagP50Ms: number;
  liveLagP99Ms: number;
}

interface Place {
  databaseUrl: string;
  temporalAddress: string;
  /** A namespace of its own: the bench starts settlement workflows there. */
  namespace: string;
  shards: number;
}

const PRICE: PriceVersion = {
  id: 1n,
  model: "bench",
  version: 1,
  createdAt: new Date(0),
  inputPrice: 30_000n,
  outputPrice: 60_000n,
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

/** Settled calls per second through the real workflow: Postgres, Temporal and the worker share the machine. The database must be migrated. */
export async function benchSettlement({ databaseUrl, temporalAddress, namespace, shards }: Place): Promise<SettlementResult> {
  const log = createLogger({ level: "silent", name: "bench" });
  const pool = createPool({ url: databaseUrl, max: 10, name: "bench", log });
  const ledger = createLedger({ pool, log, tolerance: { percent: 10, micro: 100n * MICRO } });
  const connection = await Connection.connect({ address: temporalAddress });
  const client = new Client({ connection, namespace });
  const usage = createUsage({ pool, log, temporal: client, shards });
  const settlement = createSettlement({ pool, ledger, pricing: { version: async () => PRICE, cost }, log });
  const activities = createUsageActivities({
    drain: createDrain({ pool, settlement, batch: 500, log }),
    housekeeping: createHousekeeping({ pool, ledger, shards, log }),
    startSettlements: () => startSettlements(client, shards, BILLING_QUEUE),
  });
  const owners = await Promise.all(
    Array.from({ length: WALLETS }, async () => {
      const userId = uuidv7();
      const walletId = await ledger.ensureWallet(pool, { type: "user", id: userId });
      const id = `bench:${userId}`;
      await ledger.credit(pool, {
        id,
        walletId,
        amount: 10n ** 12n,
        from: "adjustments",
        source: "admin",
        type: "ADMIN",
        description: "bench",
      });
      return { userId, walletId };
    }),
  );
  const call = async (n: number) => {
    const event = eventOf(owners[n % WALLETS]!);
    await ledger.authorize({ id: event.id, walletId: event.walletId, amount: MICRO, owner: "bench", ttlMs: 600_000 });
    await usage.record(event);
  };
  const pending = async () =>
    (await pool.query<{ n: number }>("SELECT count(*)::integer AS n FROM usage_events WHERE billable AND settled_at IS NULL")).rows[0]!.n;
  const untilSettled = async () => {
    while ((await pending()) > 0) await delay(100);
  };
  const start = () =>
    startWorker({
      address: temporalAddress,
      namespace,
      taskQueue: BILLING_QUEUE,
      activities,
      client,
      graceMs: 5_000,
      log,
      onConnected: () => startSettlements(client, shards, BILLING_QUEUE),
    });

  try {
    const rates: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const began = new Date();
      await Promise.all(Array.from({ length: BACKLOG }, (_, n) => call(n)));
      const worker = start();
      await untilSettled();
      const { rows } = await pool.query<{ seconds: number }>(
        "SELECT extract(epoch FROM max(settled_at) - min(settled_at))::float8 AS seconds FROM usage_events WHERE recorded_at >= $1",
        [began],
      );
      rates.push(BACKLOG / rows[0]!.seconds);
      await worker.stop();
    }
    rates.sort((a, b) => a - b);

    const worker = start();
    await Promise.all(owners.map((_, n) => call(n)));
    await untilSettled();
    const began = new Date();
    let recorded = 0;
    const caller = async () => {
      while (Date.now() - began.getTime() < LIVE_MS) await call(recorded++);
    };
    await Promise.all(Array.from({ length: LIVE_CALLERS }, caller));
    const seconds = (Date.now() - began.getTime()) / 1_000;
    await untilSettled();
    const { rows } = await pool.query<{ p50: number; p99: number }>(
      `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY lag) AS p50, percentile_cont(0.99) WITHIN GROUP (ORDER BY lag) AS p99
       FROM (SELECT extract(epoch FROM settled_at - recorded_at)::float8 * 1000 AS lag FROM usage_events WHERE recorded_at >= $1) AS lags`,
      [began],
    );
    await worker.stop();
    return {
      shards,
      settledPerSecond: Math.round(rates[ROUNDS >> 1]!),
      liveRecordedPerSecond: Math.round(recorded / seconds),
      liveLagP50Ms: Math.round(rows[0]!.p50),
      liveLagP99Ms: Math.round(rows[0]!.p99),
    };
  } finally {
    await usage.stop();
    await ledger.close();
    await pool.end();
    await connection.close();
  }
}

function eventOf(owner: { userId: string; walletId: bigint }): UsageEvent {
  return {
    id: uuidv7(),
    ...owner,
    keyId: null,
    model: "bench",
    providerId: null,
    providerName: "bench",
    route: "/v1/chat/completions",
    priceVersionId: 1n,
    tokens: { input: 150, cachedInput: 0, cacheWrite: 0, output: 80, reasoning: 0 },
    status: "ok",
    errorCode: null,
    estimated: false,
    startedAt: new Date(),
    firstChunkMs: 10,
    durationMs: 100,
    httpStatus: 200,
    clientIp: "127.0.0.1",
    retryCount: 0,
    stream: true,
    upstreamRequestId: null,
  };
}
