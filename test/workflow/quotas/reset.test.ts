import { Client, Connection } from "@temporalio/client";
import { expect } from "chai";
import { createQuotaActivities } from "../../../activities/quotas.ts";
import { startWorker, type RunningWorker } from "../../../src/main/worker-runtime.ts";
import { MICRO } from "../../../src/platform/credits.ts";
import type { QuotaResetResult } from "../../../workflows/quotaReset.ts";
import { quotaRig, type QuotaRig } from "../../integration/quotas/rig.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { silent } from "../../support/usage.ts";

/** Allowances in one reset; TEST_SCALE=full makes it 10,000. */
const MANY = process.env["TEST_SCALE"] === "full" ? 10_000 : 2_000;
const WITHIN_MS = 60_000;

describe("quotaReset", function () {
  this.timeout(180_000);
  const places = useStack({ namespace: true });
  let rig: QuotaRig;
  let connection: Connection;
  let client: Client;
  const workers: RunningWorker[] = [];

  before(async () => {
    rig = await quotaRig();
    connection = await Connection.connect({ address: places.temporalAddress });
    client = new Client({ connection, namespace: places.namespace });
  });
  after(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await connection.close();
    await rig.close();
  });

  function worker(services = rig.another()): RunningWorker {
    const started = startWorker({
      address: places.temporalAddress,
      namespace: places.namespace,
      taskQueue: "billing",
      activities: createQuotaActivities(services),
      client,
      graceMs: 5_000,
      log: silent,
    });
    workers.push(started);
    return started;
  }
  const start = (workflowId: string) => client.workflow.start("quotaReset", { workflowId, taskQueue: "billing", args: [] });
  async function subscribers(count: number, plan: string, since: string): Promise<void> {
    await rig.pool.query(
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
  async function granted(plan: string) {
    const { rows } = await rig.pool.query<{ wallets: number; grants: number; amount: bigint; periods: number; stated: number }>(
      `SELECT count(DISTINCT t.credit_account)::integer AS wallets, count(*)::integer AS grants, sum(t.amount)::bigint AS amount,
         (SELECT count(*)::integer FROM subscription_periods WHERE plan = $1) AS periods,
         (SELECT count(*)::integer FROM statements WHERE plan = $1) AS stated
       FROM ledger_transfers t WHERE t.type = 'ALLOWANCE' AND t.description = 'Allowance of the plan ' || $1`,
      [plan],
    );
    return rows[0]!;
  }

  it("two workers and runs started by hand at the same instant grant each allowance once", async () => {
    const plan = await rig.plan("together", 5);
    await subscribers(600, plan, "2032-03-31T16:00:00Z");
    rig.clock.at = new Date("2032-04-10T00:00:00Z");
    worker();
    worker();
    const runs = await Promise.all(["a", "b", "c"].map((name) => start(`quota-reset-${name}`)));
    const results = (await Promise.all(runs.map((run) => run.result()))) as QuotaResetResult[];
    expect(results.reduce((sum, { periods }) => sum + periods, 0)).to.equal(600);
    expect(await granted(plan)).to.deep.equal({ wallets: 600, grants: 600, amount: 3_000n * MICRO, periods: 600, stated: 0 });
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
  });

  it(`a worker that dies while it grants ${MANY} allowances: another finishes exactly, within a minute`, async () => {
    await Promise.all(workers.splice(0).map((one) => one.stop()));
    const plan = await rig.plan("many", 3);
    await subscribers(MANY, plan, "2032-05-31T16:00:00Z");
    rig.clock.at = new Date("2032-06-10T00:00:00Z");
    const begun = Date.now();
    let batches = 0;
    // It dies in the middle of a transaction: its connection goes with what it had not committed, its worker never answers.
    const dying = rig.another();
    const dead = worker({
      ...dying,
      reset: {
        ...dying.reset,
        openPeriods: (options) =>
          dying.reset.openPeriods({
            ...options,
            onProgress: (done) => {
              options?.onProgress?.(done);
              if ((batches += 1) === 2) {
                void rig.pool.query(
                  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
                );
                void dead.stop();
              }
            },
          }),
      },
    });
    const run = await start("quota-reset-killed");
    await waitFor(() => batches >= 2, { timeoutMs: 30_000, message: "the first batches" });
    worker();
    const result = (await run.result()) as QuotaResetResult;
    const took = Date.now() - begun;
    expect(result.periods).to.be.at.least(1);
    const { wallets, grants, amount, periods } = await granted(plan);
    expect({ wallets, grants, amount, periods }).to.deep.equal({
      wallets: MANY,
      grants: MANY,
      amount: BigInt(MANY) * 3n * MICRO,
      periods: MANY,
    });
    expect(took).to.be.lessThan(WITHIN_MS);
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
  });

  it("the next period's run expires, grants and states them all", async () => {
    rig.clock.at = new Date("2032-06-30T16:00:00Z");
    const begun = Date.now();
    await (await start("quota-reset-next")).result();
    expect(await granted("many")).to.deep.include({ grants: 2 * MANY, periods: 2 * MANY, stated: MANY });
    const { rows } = await rig.pool.query<{ closing: bigint; expiry: bigint; statements: number }>(
      "SELECT closing, expiry, count(*)::integer AS statements FROM statements WHERE plan = 'many' GROUP BY 1, 2",
    );
    expect(rows).to.deep.equal([{ closing: 0n, expiry: 3n * MICRO, statements: MANY }]);
    expect(Date.now() - begun).to.be.lessThan(WITHIN_MS);
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
  });
});
