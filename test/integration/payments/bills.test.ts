import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { inTransaction } from "../../../src/platform/postgres.ts";
import { useStack } from "../../support/stack.ts";
import { DEAF, prove, startRig, type Person, type Rig, type Bill, type Entry, type List } from "./rig.ts";

describe("bills", function () {
  this.timeout(60_000);
  const places = useStack();
  let rig: Rig;
  let ada: Person;

  before(async () => {
    rig = await startRig({ places, sandbox: "http://127.0.0.1:9", timings: DEAF, worker: false });
    ada = await rig.person();
    await rig.ledger.credit(rig.pool, {
      id: `grant:${ada.id}`,
      walletId: ada.walletId,
      amount: 1_000_000_000n,
      from: "adjustments",
      source: "admin",
      type: "ADMIN",
      description: "a gift",
    });
  });
  after(async () => {
    await prove(rig);
    await rig.close();
  });

  /** A settled call, as the relay and settlement leave it. */
  async function call(somebody: Person, cost: bigint, model = "m-one", keyId = uuidv7()): Promise<string> {
    const id = uuidv7();
    await rig.ledger.authorize({ id, walletId: somebody.walletId, amount: cost, owner: "test", ttlMs: 60_000 });
    await inTransaction(rig.pool, (tx) =>
      rig.ledger.settle(tx, [
        {
          id,
          holdId: id,
          walletId: somebody.walletId,
          cost,
          to: "revenue:usage",
          type: "CONSUMPTION",
          description: `${model}: 1500 in, 800 out`,
          reference: id,
        },
      ]),
    );
    await rig.pool.query(
      `INSERT INTO usage_events (id, created_at, request_id, shard, user_id, wallet_id, key_id, model, route, stream, input_tokens, cached_input_tokens,
         cache_write_tokens, output_tokens, reasoning_tokens, estimated, status, http_status, retry_count, duration_ms, billable, cost, settled_at)
       VALUES ($1::uuid, now(), $1::uuid::text, 0, $2, $3, $4, $5, '/v1/chat/completions', false, 1500, 0, 0, 800, 0, false, 'ok', 200, 0, 1, true, $6, now())`,
      [id, somebody.id, somebody.walletId, keyId, model, cost],
    );
    return `usage:${id}`;
  }

  it("show a charged call with its credits and its worth in money", async () => {
    const transfer = await call(ada, 93_000_000n);
    const { data } = await ada.call<List<Bill>>("GET", "/api/user/billing?type=consumption");
    expect(data.total).to.equal(1);
    expect(data.items[0]).to.include({
      type: "consumption",
      amount: "9.30",
      currency: "CNY",
      credits: "93",
      status: "completed",
      transaction_id: transfer,
      description: "m-one: 1500 in, 800 out",
    });
    expect((await ada.call("GET", `/api/user/billing/${data.items[0]!.id}`)).data).to.deep.equal(data.items[0]);
    expect((await ada.call("GET", "/api/user/balance")).data).to.include({
      total: "907",
      available: "907",
      held: "0",
      soonest_expiry: null,
    });
  });

  it("of all kinds are listed newest first, page by page, without gaps or repeats", async () => {
    const bob = await rig.person();
    await rig.ledger.credit(rig.pool, {
      id: `grant:${bob.id}`,
      walletId: bob.walletId,
      amount: 1_000_000_000n,
      from: "adjustments",
      source: "admin",
      type: "ADMIN",
      description: "a gift",
    });
    for (let n = 0; n < 30; n++) {
      if (n % 3 === 0) {
        await rig.pool.query(
          `INSERT INTO topup_orders (order_no, user_id, wallet_id, provider, merchant, channel, amount, currency, rate, base_credits, expires_at, status)
           VALUES ($1, $2, $3, 'epay', '1001', 'alipay', 5000, 'CNY', 10000000, 500000000, now() + interval '1 hour', $4)`,
          [`TKBILL${n}`, bob.id, bob.walletId, n % 2 ? "cancelled" : "expired"],
        );
      } else await call(bob, 1_000_000n);
    }
    const seen: string[] = [];
    for (let page = 1; page <= 5; page++) {
      const { data } = await bob.call<List<Bill>>("GET", `/api/user/billing?page=${page}&page_size=7`);
      expect(data).to.include({ total: 30, page, page_size: 7 });
      seen.push(...data.items.map((item) => item.id));
    }
    expect(seen).to.have.length(30);
    expect(seen).to.deep.equal([...new Set(seen)].sort((a, b) => (BigInt(a) < BigInt(b) ? 1 : -1)));
    expect((await bob.call<List<Bill>>("GET", "/api/user/billing?status=cancelled")).data.total).to.equal(5);
    expect((await bob.call<List<Bill>>("GET", "/api/user/billing?status=failed&type=topup")).data.total).to.equal(5);
    expect((await bob.call<List<Bill>>("GET", "/api/user/billing?from=2100-01-01")).data.total).to.equal(0);
    const stats = await bob.call<{ by_type: object[]; by_month: object[] }>("GET", "/api/user/billing/stats");
    expect(stats.data.by_type).to.deep.equal([{ type: "consumption", count: 20, amount: "2.00", credits: "20" }]);
    expect(stats.data.by_month[0]).to.include({ month: new Date().toISOString().slice(0, 7), count: 20 });
  });

  it("are found by an index however many there are", async () => {
    const { rows } = await rig.pool.query<{ "QUERY PLAN": string }>(
      `EXPLAIN SELECT * FROM billing_records WHERE wallet_id = ${ada.walletId} AND type IS NOT NULL ORDER BY id DESC LIMIT 20`,
    );
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    expect(plan).to.contain("Merge Append").and.not.contain("Sort Key: t");
    expect(plan).to.contain("topup_orders_wallet");
    expect(plan).to.contain("ledger_transfers_debit");
  });

  it("history is filtered by type, model, key and time", async () => {
    const eve = await rig.person();
    await rig.ledger.credit(rig.pool, {
      id: `grant:${eve.id}`,
      walletId: eve.walletId,
      amount: 100_000_000n,
      from: "grants:welcome",
      source: "bonus",
      type: "BONUS",
      description: "welcome",
    });
    const key = uuidv7();
    const first = await call(eve, 1_000_000n, "m-one", key);
    const second = await call(eve, 2_500_000n, "m-two");
    const ids = async (query: string) =>
      (await eve.call<List<Entry>>("GET", `/api/user/transactions?${query}`)).data.items.map((item) => item.id);
    const all = (await eve.call<List<Entry>>("GET", "/api/user/transactions")).data;
    expect(all.total).to.equal(3);
    expect(all.items[0]).to.include({ id: second, type: "CONSUMPTION", amount: "-2.5", balance_after: "96.5", reference: second.slice(6) });
    expect(await ids("type=CONSUMPTION")).to.deep.equal([second, first]);
    expect(await ids("type=BONUS")).to.deep.equal([`grant:${eve.id}`]);
    expect(await ids("model=M-ONE")).to.deep.equal([first]);
    expect(await ids(`key=${key}`)).to.deep.equal([first]);
    expect(await ids(`key=${key}&model=m-two`)).to.deep.equal([]);
    expect(await ids("model=m-one&type=BONUS")).to.deep.equal([]);
    expect(await ids("to=2020-01-01")).to.deep.equal([]);
    expect((await eve.call<List<Entry>>("GET", "/api/user/points/history?model=m-one")).data.items[0]).to.include({
      id: first,
      amount: "-1",
      balance_after: "99",
    });
  });

  it("history takes several types at once, and shows the call behind a charge and which credit paid it", async () => {
    const joan = await rig.person();
    const grants = [
      { source: "bonus", type: "BONUS", amount: 40_000_000n, expiresAt: new Date("2100-01-01T00:00:00Z") },
      { source: "checkin", type: "CHECKIN", amount: 30_500_000n, expiresAt: null },
      { source: "purchase", type: "PURCHASE", amount: 100_000_000n, expiresAt: null },
    ] as const;
    for (const grant of grants) {
      await rig.ledger.credit(rig.pool, {
        ...grant,
        id: `${grant.source}:${joan.id}`,
        walletId: joan.walletId,
        from: "grants:test",
        description: grant.source,
      });
    }
    const charge = await call(joan, 93_000_000n);
    const { data } = await joan.call<List<Entry>>("GET", "/api/user/points/history?type=CONSUMPTION,BONUS&type=CHECKIN");
    expect(data.items.map((item) => item.type)).to.deep.equal(["CONSUMPTION", "CHECKIN", "BONUS"]);
    const [spent, checkin] = data.items as [Entry, Entry];
    expect(spent).to.include({ id: charge, amount: "-93", balance_after: "77.5" });
    expect(spent.call).to.include({ id: charge.slice(6), model: "m-one", input_tokens: 1_500, output_tokens: 800, status: "ok" });
    const { burned } = spent;
    expect(burned.reduce((sum, { amount }) => sum + Number(amount), 0)).to.equal(93);
    expect(burned.find(({ source }) => source === "bonus")).to.deep.equal({
      source: "bonus",
      amount: "40",
      expires_at: "2100-01-01T00:00:00.000Z",
    });
    expect(burned.at(-1)).to.deep.equal({ source: "purchase", amount: "22.5", expires_at: null });
    expect(checkin).to.include({ amount: "30.5", call: null });
    expect(checkin.burned).to.deep.equal([]);
    const refused = await joan.call<List<Entry>>("GET", "/api/user/transactions?type=BONUS,GIFT");
    expect(refused.status).to.equal(400);
    expect(JSON.stringify(refused.error)).to.contain('"type"');
  });
});
