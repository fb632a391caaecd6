import { createLedger, type SettleItem } from "../src/ledger/index.ts";
import { uuidv7 } from "../src/platform/ids.ts";
import { createLogger } from "../src/platform/logger.ts";
import { createPool, inTransaction, type Pool } from "../src/platform/postgres.ts";

/** Rounds are short and repeated; the median is reported. */
const ROUNDS = 5;
const ROUND_MS = 1_000;
const FUNDS = 10n ** 12n;
const TOLERANCE = { percent: 10, micro: 100_000_000n };

export interface HoldsResult {
  callers: number;
  holdsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
}

export interface SettlesResult {
  batch: number;
  wallets: number;
  settledPerSecond: number;
}

function setUp(databaseUrl: string) {
  const log = createLogger({ level: "silent", name: "bench" });
  const pool = createPool({ url: databaseUrl, max: 8, name: "bench", log });
  const ledger = createLedger({ pool, log, tolerance: TOLERANCE });
  async function fundedWallet(): Promise<bigint> {
    const walletId = await ledger.ensureWallet(pool, { type: "user", id: uuidv7() });
    const id = `bench:${uuidv7()}`;
    await ledger.credit(pool, { id, walletId, amount: FUNDS, from: "adjustments", source: "admin", type: "ADMIN", description: "bench" });
    return walletId;
  }
  return { pool, ledger, fundedWallet };
}

/**
 * Holds per second, every one durable, of 1, 16 and 64 callers who all use one wallet, and as many budgets as said. The database must be
 * migrated.
 */
export async function benchHolds(databaseUrl: string, limited = 0): Promise<HoldsResult[]> {
  const { pool, ledger, fundedWallet } = setUp(databaseUrl);
  try {
    const walletId = await fundedWallet();
    const budgets = Array.from({ length: limited }, () => ({ id: `key:${uuidv7()}`, period: "total", limit: FUNDS }));
    const results: HoldsResult[] = [];
    for (const callers of [1, 16, 64]) {
      const rounds: HoldsResult[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const times: number[] = [];
        const started = performance.now();
        const caller = async () => {
          for (let now = performance.now(); now - started < ROUND_MS; now = performance.now()) {
            const outcome = await ledger.authorize({ id: uuidv7(), walletId, amount: 1_000n, budgets, owner: "bench", ttlMs: 60_000 });
            if (outcome.kind !== "held") throw new Error("the bench wallet is empty");
            times.push(performance.now() - now);
          }
        };
        await Promise.all(Array.from({ length: callers }, caller));
        const seconds = (performance.now() - started) / 1_000;
        times.sort((a, b) => a - b);
        rounds.push({ callers, holdsPerSecond: Math.round(times.length / seconds), p50Ms: at(times, 0.5), p99Ms: at(times, 0.99) });
        await releaseAll(pool, walletId);
      }
      rounds.sort((a, b) => a.holdsPerSecond - b.holdsPerSecond);
      results.push(rounds[ROUNDS >> 1]!);
    }
    return results;
  } finally {
    await ledger.close();
    await pool.end();
  }
}

/** Events settled per second in batches of 500 whose holds exist, on one wallet and on 50. */
export async function benchSettles(databaseUrl: string): Promise<SettlesResult[]> {
  const { pool, ledger, fundedWallet } = setUp(databaseUrl);
  try {
    const results: SettlesResult[] = [];
    for (const wallets of [1, 50]) {
      const ids = await Promise.all(Array.from({ length: wallets }, fundedWallet));
      const rates: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const batches: SettleItem[][] = [];
        for (let i = 0; i < 6; i++) batches.push(Array.from({ length: 500 }, (_, n) => item(ids[n % ids.length]!)));
        await Promise.all(
          batches
            .flat()
            .map(({ holdId, walletId }) => ledger.authorize({ id: holdId!, walletId, amount: 1_000n, owner: "bench", ttlMs: 600_000 })),
        );
        const started = performance.now();
        for (const batch of batches) await inTransaction(pool, (tx) => ledger.settle(tx, batch));
        rates.push((batches.length * 500) / ((performance.now() - started) / 1_000));
      }
      rates.sort((a, b) => a - b);
      results.push({ batch: 500, wallets, settledPerSecond: Math.round(rates[ROUNDS >> 1]!) });
    }
    return results;
  } finally {
    await ledger.close();
    await pool.end();
  }
}

function item(walletId: bigint): SettleItem {
  const id = uuidv7();
  return { id, holdId: id, walletId, cost: 900n, to: "revenue:usage", type: "CONSUMPTION", description: "bench", reference: id };
}

async function releaseAll(pool: Pool, walletId: bigint): Promise<void> {
  await pool.query(
    "SELECT count(*) FROM ledger_close_holds(ARRAY(SELECT id FROM ledger_holds WHERE wallet_id = $1 AND state = 'held'), 'released', NULL)",
    [walletId],
  );
}

function at(sorted: number[], share: number): number {
  return Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 1_000) / 1_000;
}
