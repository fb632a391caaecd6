import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { keySpending } from "../../../src/usage/keySpending.ts";
import { spentSince } from "../../../src/usage/index.ts";
import { useStack } from "../../support/stack.ts";
import { usageRig, type UsageRig } from "../../support/usage.ts";

describe("what a key used and may still spend", () => {
  const places = useStack();
  let rig: UsageRig;
  before(() => {
    rig = usageRig({ url: places.databaseUrl });
  });
  after(() => rig.close());

  /** 93 credits each. */
  async function calls(keyId: string, ...times: string[]) {
    const owner = await rig.wallet(1_000);
    for (const time of times) {
      const event = await rig.call(owner, { keyId, startedAt: new Date(time) });
      await rig.usage.record(event);
      await rig.settlement.settleNow(event.id);
    }
    return owner;
  }
  const used = (requests: number) => ({
    requests,
    failed: 0,
    input_tokens: 1_500 * requests,
    output_tokens: 800 * requests,
    cost: String(93 * requests),
  });

  it("days and months begin at midnight in the user's time zone, to the minute", async () => {
    const keyId = uuidv7();
    // Midnight in Kathmandu is at 18:15 UTC.
    const owner = await calls(
      keyId,
      "2026-02-28T18:14:59Z",
      "2026-02-28T18:15:00Z",
      "2026-03-02T18:14:59Z",
      "2026-03-02T18:15:01Z",
      "2026-03-02T19:30:00Z",
    );
    const limits = {
      zone: { timeZone: "Asia/Kathmandu" },
      key: { spend_daily: "200", max_parallel: 3 },
      account: { spend_monthly: "400" },
    };
    const shown = await keySpending(rig, { userId: owner.userId, keyId }, limits, new Date("2026-03-02T20:00:00Z"));
    expect(shown.today).to.deep.equal({ date: "2026-03-03", ...used(2) });
    expect(shown.month).to.deep.equal({ month: "2026-03", ...used(4) });
    expect(shown.limits).to.deep.equal({ key: limits.key, account: limits.account });
    expect(shown.budgets).to.deep.equal([
      { of: "key", limit: "spend_daily", amount: "200", spent: "186", held: "0", left: "14", resets_at: "2026-03-03T18:15:00.000Z" },
      { of: "account", limit: "spend_monthly", amount: "400", spent: "372", held: "0", left: "28", resets_at: "2026-03-31T18:15:00.000Z" },
    ]);
    expect(await spentSince(rig.pool, `key:${keyId}`, new Date(0))).to.equal(465_000_000n);
    expect(await spentSince(rig.pool, `user:${owner.userId}`, new Date("2026-03-02T19:00:00Z"))).to.equal(93_000_000n);
    expect(await spentSince(rig.pool, `token:${keyId}`, new Date(0))).to.equal(0n);
  });

  it("what is left is told by the counters that enforce it", async () => {
    const keyId = uuidv7();
    const owner = await rig.wallet(1_000);
    const now = new Date();
    const budget = { id: `key:${keyId}`, period: "total", limit: 50_000_000n };
    await rig.ledger.authorize({
      id: uuidv7(),
      walletId: owner.walletId,
      amount: 20_000_000n,
      budgets: [budget],
      owner: "test",
      ttlMs: 60_000,
    });
    const limits = { zone: { timeZone: "UTC" }, key: { spend_total: "50" }, account: { spend_total: "10" } };
    const shown = await keySpending(rig, { userId: owner.userId, keyId }, limits, now);
    expect(shown.budgets).to.deep.equal([
      { of: "key", limit: "spend_total", amount: "50", spent: "0", held: "20", left: "30", resets_at: null },
      { of: "account", limit: "spend_total", amount: "10", spent: "0", held: "0", left: "10", resets_at: null },
    ]);
  });
});
