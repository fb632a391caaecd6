import { expect } from "chai";
import pg from "pg";
import { createLedger, type HoldOutcome, type HoldRequest, type Ledger, type SettleItem } from "../../../src/ledger/index.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createPool, inTransaction, type Pool } from "../../../src/platform/postgres.ts";
import { useStack } from "../../support/stack.ts";

export const TOLERANCE = { percent: 10, micro: 50n };

/** A ledger on a database of its own, and the shortest way to say what a test means. */
export interface LedgerRig {
  url: string;
  pool: Pool;
  ledger: Ledger;
  /** A new wallet; with an amount, credited by a purchase. */
  wallet(amount?: bigint): Promise<bigint>;
  hold(walletId: bigint, amount: bigint, more?: Partial<HoldRequest>): Promise<HoldOutcome & { id: string }>;
  settle(...items: (Partial<SettleItem> & { walletId: bigint; cost: bigint })[]): ReturnType<Ledger["settle"]>;
  /** Runs a statement over a plain connection, as someone with psql would. */
  psql(sql: string): Promise<pg.QueryResult>;
}

export function usageItem(item: Partial<SettleItem> & { walletId: bigint; cost: bigint }): SettleItem {
  const id = item.id ?? uuidv7();
  return { id, holdId: id, to: "revenue:usage", type: "CONSUMPTION", description: "a call", reference: id, ...item };
}

export function credit(walletId: bigint, amount: bigint) {
  const id = `test:${uuidv7()}`;
  return {
    id,
    walletId,
    amount,
    from: "clearing:test",
    source: "purchase",
    type: "PURCHASE",
    description: "top-up",
    reference: id,
  } as const;
}

export function openLedger(url: string, name = "test-ledger") {
  const log = createLogger({ level: "silent", name });
  const pool = createPool({ url, max: 8, name, log });
  return { pool, ledger: createLedger({ pool, log, tolerance: TOLERANCE }) };
}

/** Call it in a `describe`. After each test the ledger is verified, unless the tests damage it on purpose. */
export function useLedger(options: { verified?: boolean } = {}): LedgerRig {
  const places = useStack();
  const rig = {} as LedgerRig;
  before(() => {
    const { pool, ledger } = openLedger(places.databaseUrl);
    Object.assign(rig, {
      url: places.databaseUrl,
      pool,
      ledger,
      async wallet(amount) {
        const walletId = await ledger.ensureWallet(pool, { type: "user", id: uuidv7() });
        if (amount) await ledger.credit(pool, credit(walletId, amount));
        return walletId;
      },
      async hold(walletId, amount, more) {
        const id = more?.id ?? uuidv7();
        return { ...(await ledger.authorize({ id, walletId, amount, owner: "test", ttlMs: 60_000, ...more })), id };
      },
      settle: (...items) => inTransaction(pool, (tx) => ledger.settle(tx, items.map(usageItem))),
      async psql(sql) {
        const client = new pg.Client({ connectionString: places.databaseUrl });
        await client.connect();
        try {
          return await client.query(sql);
        } finally {
          await client.end();
        }
      },
    } satisfies LedgerRig);
  });
  if (options.verified !== false) {
    afterEach(async () => {
      expect((await rig.ledger.verify()).differences).to.deep.equal([]);
    });
  }
  after(async () => {
    await rig.ledger.close();
    await rig.pool.end();
  });
  return rig;
}
