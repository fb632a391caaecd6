import { Client, Connection } from "@temporalio/client";
import { expect } from "chai";
import pg from "pg";
import { operator, proveLedger, unique, type Person } from "../support/people.ts";
import { infra, ownProduct, startStack, waitFor, type Product, type Stack } from "../support/stack.ts";

/** Allowances in one reset; TEST_SCALE=full makes it 10,000. */
const MANY = process.env["TEST_SCALE"] === "full" ? 10_000 : 2_000;
const WITHIN_MS = 60_000;
const MICRO = 1_000_000n;
const SHARED = [
  "JWT_SECRETS",
  "HASH_SECRET",
  "ENCRYPTION_KEYS",
  "DATABASE_URL",
  "REDIS_URL",
  "TEMPORAL_ADDRESS",
  "TEMPORAL_NAMESPACE",
  "TEMPORAL_UI_URL",
];

describe("when a worker is killed in the middle of granting allowances", function () {
  this.timeout(240_000);
  let at: Product;
  let second: Stack;
  let admin: Person;
  let db: pg.Client;
  let temporal: Connection;
  let client: Client;

  before(async () => {
    at = await ownProduct();
    const { env } = at.stack;
    second = await startStack({ parts: ["worker"], env: Object.fromEntries(SHARED.map((name) => [name, env[name]])) });
    admin = await operator(at);
    db = new pg.Client(env["DATABASE_URL"]);
    await db.connect();
    temporal = await Connection.connect({ address: infra().temporalAddress });
    client = new Client({ connection: temporal, namespace: env["TEMPORAL_NAMESPACE"]! });
  });
  after(async () => {
    await db.end();
    await temporal.close();
    await second.destroy();
    await at.stack.destroy();
  });

  /** Users who have had a plan since a moment. */
  async function subscribers(plan: string, count: number, since: Date): Promise<void> {
    await db.query(
      `WITH made AS (
         INSERT INTO users (id, email, username, wallet_id, created_at)
         SELECT id, id || '@example.com', 'm' || right(replace(id::text, '-', ''), 30), ledger_open_wallet('user', id), $1::timestamptz
         FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, $2::integer)) q RETURNING id
       )
       INSERT INTO subscription_terms (user_id, from_at, plan, reset_day, time_zone)
       SELECT id, $1::timestamptz, $3::text, 1, 'Asia/Shanghai' FROM made`,
      [since, count, plan],
    );
  }
  async function plan(name: string, allowance: string): Promise<string> {
    await admin.post("/api/admin/plans", { name, display_name: name, allowance });
    return name;
  }
  async function granted(name: string) {
    const { rows } = await db.query<{ wallets: number; grants: number; amount: string; periods: number }>(
      `SELECT count(DISTINCT t.credit_account)::integer AS wallets, count(*)::integer AS grants, coalesce(sum(t.amount), 0)::text AS amount,
         (SELECT count(*)::integer FROM subscription_periods WHERE plan = $1) AS periods
       FROM ledger_transfers t WHERE t.type = 'ALLOWANCE' AND t.description = 'Allowance of the plan ' || $1`,
      [name],
    );
    return rows[0]!;
  }
  const opened = async (name: string) =>
    (await db.query<{ n: number }>("SELECT count(*)::integer AS n FROM subscription_periods WHERE plan = $1", [name])).rows[0]!.n;
  const all = (count: number, credits: bigint) => ({
    wallets: count,
    grants: count,
    amount: (BigInt(count) * credits * MICRO).toString(),
    periods: count,
  });
  const runByHand = () => admin.post<{ workflow_id: string }>("/api/admin/quotas/run", {});
  /** Runs until it ends: by hand over HTTP, and the schedule at the same instant, twice. */
  async function runEverywhere(): Promise<void> {
    const schedule = client.schedule.getHandle("quota-reset");
    const direct = () => client.workflow.start("quotaReset", { workflowId: unique("reset"), taskQueue: "billing", args: [] });
    const [{ workflow_id: byHand }, first, other] = await Promise.all([runByHand(), direct(), direct(), schedule.trigger()]);
    await Promise.all([client.workflow.getHandle(byHand), first, other].map((run) => run.result()));
  }

  it(`with SIGKILL, ${MANY} are granted exactly once all the same, within a minute`, async () => {
    const name = await plan("kept", "7");
    // Only one worker runs when it begins, so that it is the one in the middle of it.
    await second.part("worker").stop();
    await subscribers(name, MANY, new Date(Date.now() - 60_000));
    const begun = Date.now();
    await runByHand();
    await waitFor(async () => (await opened(name)) > MANY / 20, { timeoutMs: 30_000, message: "the first batches", everyMs: 5 });
    await at.stack.part("worker").kill("SIGKILL");
    const half = await granted(name);
    expect(half.periods, "killed in the middle").to.be.within(1, MANY - 1);
    expect(half, "whole batches").to.deep.equal(all(half.periods, 7n));
    await second.part("worker").start();
    await waitFor(async () => (await opened(name)) === MANY, { timeoutMs: WITHIN_MS, message: "all periods" });
    expect(Date.now() - begun).to.be.lessThan(WITHIN_MS);
    await at.stack.part("worker").start();
    await runEverywhere();
    expect(await granted(name)).to.deep.equal(all(MANY, 7n));
    await proveLedger(admin);
  });

  it("two workers, the schedule and runs by hand at the same instant grant each once", async () => {
    const name = await plan("together", "3");
    await subscribers(name, 600, new Date(Date.now() - 60_000));
    await Promise.all([runEverywhere(), runEverywhere()]);
    expect(await granted(name)).to.deep.equal(all(600, 3n));
    await proveLedger(admin);
  });

  it("whoever was away for a year gets each of its periods once, and only the last one's allowance is left", async () => {
    const name = await plan("yearly", "5");
    const now = new Date();
    const since = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 12, 10));
    await subscribers(name, 20, since);
    await runEverywhere();
    const { rows } = await db.query<{ periods: number; gaps: number; grants: number; balance: string }>(
      `SELECT p.periods, p.gaps, t.grants, a.balance::text FROM (
         SELECT wallet_id, count(*)::integer AS periods, count(*) FILTER (WHERE before IS NOT NULL AND before <> starts_at)::integer AS gaps
         FROM (SELECT *, lag(ends_at) OVER (PARTITION BY user_id ORDER BY starts_at) AS before FROM subscription_periods WHERE plan = $1) q GROUP BY 1
       ) p JOIN ledger_accounts a ON a.id = p.wallet_id
       JOIN LATERAL (SELECT count(DISTINCT id)::integer AS grants FROM ledger_transfers WHERE credit_account = a.id AND type = 'ALLOWANCE') t ON true`,
      [name],
    );
    expect(rows).to.have.length(20);
    const [first] = rows;
    expect(first!.periods).to.be.within(12, 14);
    for (const row of rows) expect(row).to.deep.equal({ periods: first!.periods, gaps: 0, grants: first!.periods, balance: "5000000" });
    await proveLedger(admin);
  });
});
