import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { difyMessageKey } from "../../../src/usage/index.ts";
import { useStack } from "../../support/stack.ts";
import { eventOf } from "../../support/usage.ts";
import { message, startDify, type DifyRig, type Person } from "./rig.ts";

const DAY_MS = 86_400_000;
const DAYS = 25;

describe("a message of Dify that is found among many days", function () {
  this.timeout(60_000);
  const places = useStack();
  let rig: DifyRig;
  let ada: Person;
  const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS);
  const partitionOf = (time: Date) => `usage_events_p${time.toISOString().slice(0, 10).replaceAll("-", "")}`;

  before(async () => {
    // One connection: what it did is counted when it says so.
    rig = await startDify(places.databaseUrl, { connections: 1 });
    await rig.model("gpt-4");
    ada = await rig.person(100_000);
    await rig.pool.query("SELECT usage_ready_days(ARRAY(SELECT current_date - ago FROM generate_series(0, $1::integer) AS ago))", [DAYS]);
    // As many as make an index worth its while.
    await rig.pool.query(
      `INSERT INTO usage_events (id, created_at, request_id, shard, user_id, wallet_id, model, route, stream, input_tokens, cached_input_tokens,
         cache_write_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, estimated, status, http_status, retry_count, duration_ms, billable, cost, uncharged, settled_at)
       SELECT gen_random_uuid(), now() - make_interval(days => n % $1), 'filler', 0, gen_random_uuid(), 1, 'gpt-4', '/', false, 1, 0, 0, 0, 1, 0, false, 'ok', 200, 0, 1, false, 0, 0, now()
       FROM generate_series(1, 5000) AS n`,
      [DAYS],
    );
    await rig.pool.query("ANALYZE usage_events");
  });
  after(() => rig.close());

  /** How often each partition was looked into, as its statistics have it. */
  async function looks(): Promise<Map<string, bigint>> {
    await rig.pool.query("SELECT pg_stat_force_next_flush()");
    const { rows } = await rig.pool.query<{ name: string; scans: bigint }>(
      "SELECT relname AS name, seq_scan + coalesce(idx_scan, 0) AS scans FROM pg_stat_user_tables WHERE relname LIKE 'usage\\_events\\_%'",
    );
    return new Map(rows.map(({ name, scans }) => [name, scans]));
  }
  async function lookedInto(work: () => Promise<unknown>): Promise<string[]> {
    const before = await looks();
    await work();
    const after = await looks();
    expect(after.size).to.be.greaterThan(DAYS);
    return [...after]
      .filter(([name, scans]) => scans > (before.get(name) ?? 0n))
      .map(([name]) => name)
      .sort();
  }

  async function relay(messageId: string, startedAt: Date): Promise<void> {
    const version = (await rig.pricing.model("gpt-4"))!.price!.id;
    const id = uuidv7();
    await rig.ledger.authorize({ id, walletId: ada.walletId, amount: 120_000_000n, owner: "test", ttlMs: 60_000 });
    await rig.usage.record(eventOf(ada, { id, model: "gpt-4", startedAt, priceVersionId: version, messageKey: difyMessageKey(messageId) }));
  }
  const report = (messageId: string, at: Date, user = ada.userId) =>
    rig.send(message({ user_id: user, message_id: messageId, timestamp: at.toISOString() }));

  it("is written into its own day's partition and looked for in none, when the webhook is first", async () => {
    const at = daysAgo(13);
    // What a process asks once is asked.
    await report(randomUUID(), at);
    expect(await lookedInto(() => report(randomUUID(), at))).to.deep.equal([]);
    const { rows } = await rig.pool.query(`SELECT count(*)::integer AS count FROM ${partitionOf(at)} WHERE user_id = $1`, [ada.userId]);
    expect(rows).to.deep.equal([{ count: 2 }]);
  });

  it("is found, settled and answered in its call's day alone, when the relay was first", async () => {
    const at = daysAgo(7);
    const id = randomUUID();
    await relay(id, at);
    let answer: Awaited<ReturnType<typeof report>> | undefined;
    const looked = await lookedInto(async () => {
      answer = await report(id, at);
    });
    expect(answer!.body.data).to.include({ pointsDeducted: 93 });
    expect(looked).to.deep.equal([partitionOf(at)]);
    expect(await lookedInto(() => report(id, at)), "a repeat reads none").to.deep.equal([]);
  });

  it("shares its batch with others of other days, and each is looked for in its own", async () => {
    const days = [20, 11, 2].map(daysAgo);
    const ids = days.map(() => randomUUID());
    for (const [n, at] of days.entries()) {
      await relay(ids[n]!, at);
      await report(randomUUID(), at);
    }
    const looked = await lookedInto(() => Promise.all(days.flatMap((at, n) => [report(ids[n]!, at), report(randomUUID(), at)])));
    expect(looked).to.deep.equal(days.map(partitionOf).sort());
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
  });
});
