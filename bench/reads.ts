import { Agent, request } from "undici";
import { setTimeout as delay } from "node:timers/promises";
import { makeKey } from "../src/identity/keyFormat.ts";
import { createLedger } from "../src/ledger/index.ts";
import { uuidv7 } from "../src/platform/ids.ts";
import { createLogger } from "../src/platform/logger.ts";
import { createPool, type Pool } from "../src/platform/postgres.ts";
import { startStack } from "../test/support/stack.ts";
import { used } from "./system.ts";

const PEOPLE = 1_000;
/** Between two reads of one person, on average. */
const THINK_MS = 4_000;
const SECONDS = 20;
const CREDITS = 10_000_000n;
const AT_ONCE = 50;

const READS = ["/api/user/me", "/api/user/balance", "/api/user/transactions", "/api/user/billing", "/api/files", "/api/models"];

export interface ReadsResult {
  people: number;
  perSecond: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  /** CPU milliseconds a read, of the api and of Postgres. */
  apiMs: number;
  postgresMs: number;
  bad: number;
}

/** People with something in their wallets, and a key of each. */
async function people(pool: Pool): Promise<string[]> {
  const ledger = createLedger({ pool, log: createLogger({ level: "silent", name: "bench" }), tolerance: { percent: 10, micro: 0n } });
  async function one(): Promise<string> {
    const [userId, key] = [uuidv7(), makeKey()];
    const walletId = await ledger.ensureWallet(pool, { type: "user", id: userId });
    await pool.query("INSERT INTO users (id, email, username, email_verified, wallet_id) VALUES ($1, $2, $3, true, $4)", [
      userId,
      `${userId}@example.com`,
      userId.slice(-12),
      walletId,
    ]);
    await pool.query("INSERT INTO api_keys (id, user_id, name, hash, prefix) VALUES ($1, $2, 'bench', $3, $4)", [
      uuidv7(),
      userId,
      key.hash,
      key.prefix,
    ]);
    const credit = { walletId, amount: CREDITS, from: "adjustments", source: "admin", type: "ADMIN", description: "bench" } as const;
    await ledger.credit(pool, { ...credit, id: uuidv7() });
    return key.key;
  }
  const keys: string[] = [];
  while (keys.length < PEOPLE) keys.push(...(await Promise.all(Array.from({ length: AT_ONCE }, one))));
  await ledger.close();
  return keys;
}

/** Simple reads by many people at once, each on a connection of his own and with pauses, of one copy of the api. */
export async function benchReads(): Promise<ReadsResult> {
  const stack = await startStack({ env: { LOG_LEVEL: "warn" } });
  const agent = new Agent({ connections: PEOPLE, pipelining: 1 });
  const pool = createPool({
    url: stack.endpoints.database_url!,
    max: 10,
    name: "bench",
    log: createLogger({ level: "silent", name: "bench" }),
    connectTimeoutMs: 5_000,
  });
  try {
    const keys = await people(pool);
    const times: number[] = [];
    let bad = 0;
    let counting = false;
    const over = new AbortController();

    async function read(key: string, path: string): Promise<void> {
      const from = performance.now();
      const answer = await request(stack.endpoints.api + path, { dispatcher: agent, headers: { authorization: `Bearer ${key}` } });
      await answer.body.dump();
      if (!counting) return;
      times.push(performance.now() - from);
      if (answer.statusCode !== 200) bad += 1;
    }
    async function person(key: string, no: number): Promise<void> {
      for (let turn = no; !over.signal.aborted; turn += 1) {
        await delay(Math.random() * 2 * THINK_MS);
        await read(key, READS[turn % READS.length]!);
      }
    }

    const everybody = Promise.all(keys.map(person));
    await delay(2 * THINK_MS);
    const before = used();
    counting = true;
    await delay(SECONDS * 1_000);
    counting = false;
    const after = used();
    over.abort();
    await everybody;
    times.sort((a, b) => a - b);
    const at = (share: number): number => times[Math.floor(share * (times.length - 1))]!;
    const cpu = (part: string): number => ((after[part]! - before[part]!) * 1_000) / times.length;
    return {
      people: PEOPLE,
      perSecond: times.length / SECONDS,
      p50Ms: at(0.5),
      p95Ms: at(0.95),
      p99Ms: at(0.99),
      apiMs: cpu("api"),
      postgresMs: cpu("postgres"),
      bad,
    };
  } finally {
    await agent.close();
    await pool.end();
    await stack.destroy();
  }
}
