import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { createHideIp, type HideIp } from "../../../src/platform/hideIp.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createUsage } from "../../../src/usage/index.ts";
import { interruptible } from "../../support/proxy.ts";
import { owing } from "../../../src/usage/repository.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { eventOf, noTemporal, silent, usageRig, type UsageRig } from "../../support/usage.ts";

describe("recording calls", () => {
  const places = useStack();
  let rig: UsageRig;
  before(() => {
    rig = usageRig({ url: places.databaseUrl });
  });
  after(() => rig.close());

  it("keeps of a caller's address what is set: a hash that is the same for each call, or nothing", async () => {
    const owner = await rig.wallet(1_000);
    const kept = async (hideIp: HideIp, clientIp: string) => {
      const usage = createUsage({ pool: rig.pool, log: silent, temporal: noTemporal, shards: 1, hideIp });
      const event = await rig.call(owner, { clientIp });
      const failed = eventOf(owner, { clientIp, status: "failed" });
      await usage.record(event);
      usage.recordFailure(failed);
      await usage.stop();
      const rows = await Promise.all([event, failed].map(({ id }) => rig.row(id)));
      expect(rows[0]!["client_ip"]).to.equal(rows[1]!["client_ip"]);
      return rows[0]!["client_ip"];
    };
    const hashed = createHideIp("hashed", "x".repeat(32));
    const hash = await kept(hashed, "198.51.100.7");
    expect(hash).to.match(/^[0-9a-f]{16}$/);
    expect(await kept(createHideIp("hashed", "x".repeat(32)), "198.51.100.7"), "on another copy").to.equal(hash);
    expect(await kept(hashed, "198.51.100.8")).to.not.equal(hash);
    expect(await kept(createHideIp("hashed", "y".repeat(32)), "198.51.100.7"), "with another secret").to.not.equal(hash);
    expect(await kept(createHideIp("none", "x"), "198.51.100.7")).to.equal(null);
    expect(await kept(createHideIp("plain", "x"), "198.51.100.7")).to.equal("198.51.100.7");
  });

  it("a recorded call is durable, not settled yet, and the same record again changes nothing", async () => {
    const event = await rig.call(await rig.wallet(1_000), { requestId: "req-12345678" });
    await Promise.all([rig.usage.record(event), rig.usage.record(event)]);
    await rig.usage.record(event);
    const { rows } = await rig.pool.query("SELECT * FROM usage_events WHERE id = $1", [event.id]);
    expect(rows).to.have.length(1);
    expect(rows[0]).to.include({
      request_id: "req-12345678",
      cost: null,
      settled_at: null,
      billable: true,
      first_chunk_ms: 12,
      duration_ms: 346,
    });
  });

  it("the sweep never takes the hold of a recorded call, and takes that of a call nobody recorded", async () => {
    const owner = await rig.wallet(1_000);
    const recorded = await rig.call(owner);
    const lost = await rig.call(owner);
    await rig.usage.record(recorded);
    const later = new Date(Date.now() + 3_600_000);
    const swept = (await rig.ledger.sweep(later, 1_000, owing)).map((hold) => hold.id);
    expect(swept).to.include(lost.id);
    expect(swept).not.to.include(recorded.id);
    expect((await rig.ledger.balance(owner.walletId)).held).to.equal(100n * MICRO);
    // However late its settlement is, and whoever sweeps.
    expect((await rig.ledger.sweep(later)).map((hold) => hold.id)).not.to.include(recorded.id);
    expect(await rig.settlement.settleNow(recorded.id)).to.equal(true);
    expect((await rig.ledger.balance(owner.walletId)).held).to.equal(0n);
  });

  it("one record that cannot be stored is refused alone; the others of its batch are kept", async () => {
    const owner = await rig.wallet(1_000);
    const good = Array.from({ length: 20 }, () => eventOf(owner));
    const bad = eventOf(owner, { keyId: "not-a-uuid" });
    const outcomes = await Promise.allSettled([...good.slice(0, 10), bad, ...good.slice(10)].map((event) => rig.usage.record(event)));
    expect(outcomes.filter((outcome) => outcome.status === "rejected")).to.have.length(1);
    expect(outcomes[10]!.status).to.equal("rejected");
    for (const event of good) expect(await rig.row(event.id)).to.include({ billable: true });
  });

  it("calls that cost nothing are there within a second, settled at cost 0 and counted as failed", async () => {
    const owner = await rig.wallet(1);
    const event = eventOf(owner, { status: "failed", errorCode: "upstream_error", httpStatus: 502, priceVersionId: null });
    rig.usage.recordFailure(event);
    rig.usage.recordFailure(event);
    const row = await waitFor(() => rig.row(event.id), { timeoutMs: 2_000 });
    expect(row).to.include({ cost: 0n, billable: false, error_code: "upstream_error" });
    expect(row["settled_at"]).to.be.instanceOf(Date);
    const { rows } = await rig.pool.query("SELECT requests, failed FROM usage_hourly WHERE user_id = $1", [owner.userId]);
    expect(rows).to.deep.equal([{ requests: 1n, failed: 1n }]);
  });

  it("while Postgres is away a record waits, and is there when Postgres is back", async () => {
    const target = new URL(places.databaseUrl);
    const proxy = await interruptible(Number(target.port), target.hostname);
    target.hostname = "127.0.0.1";
    target.port = String(proxy.port);
    const behind = usageRig({ url: target.href });
    const owner = await rig.wallet(1_000);
    const first = eventOf(owner);
    await behind.usage.record(first);
    proxy.cut();
    const second = eventOf(owner);
    let done = false;
    const recorded = behind.usage.record(second).then(() => (done = true));
    await waitFor(() => proxy.refused() >= 3);
    expect(done).to.equal(false);
    proxy.heal();
    await recorded;
    expect(await rig.row(second.id)).to.include({ billable: true });
    await behind.close();
    await proxy.close();
  });

  it("a stop gives up after its grace and refuses the records it could not write", async () => {
    const away = usageRig({ url: "postgres://nobody@127.0.0.1:1/nothing" });
    const recorded = away.usage.record(eventOf({ userId: uuidv7(), walletId: 1n })).then(
      () => "written",
      (error: Error) => error.message,
    );
    await away.usage.stop(200);
    expect(await recorded).to.equal("This is not available right now");
    await away.pool.end();
  });
});
