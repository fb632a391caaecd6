import { expect } from "chai";
import { createAverages } from "../../../src/usage/index.ts";
import { usedSince } from "../../../src/usage/spent.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { eventOf } from "../../support/usage.ts";
import { startUsageApi, type UsageApi } from "./api.ts";

describe("averages for estimates", () => {
  const places = useStack();
  let api: UsageApi;
  before(async () => {
    api = await startUsageApi({ databaseUrl: places.databaseUrl });
  });
  after(() => api.close());

  const tokens = (input: number, output: number) => ({ input, cachedInput: 0, cacheWrite: 0, output, reasoning: 0 });

  it("are of one's own calls, and of everybody's only where three accounts use a model", async () => {
    const people = [await api.rig.wallet(1_000), await api.rig.wallet(1_000), await api.rig.wallet(1_000)];
    await api.settle([
      [people[0]!, { model: "shared", tokens: tokens(100, 10) }],
      [people[0]!, { model: "shared", tokens: tokens(301, 30) }],
      [people[1]!, { model: "shared", tokens: tokens(200, 20) }],
      [people[0]!, { model: "own", tokens: tokens(1, 1) }],
    ]);
    const averages = createAverages(api.rig.pool);
    expect((await averages.ofUser(people[0]!.userId, "shared"))?.tokens).to.include({ input: 201, output: 20 });
    expect(await averages.ofUser(people[0]!.userId, null)).to.include({ calls: 3 });
    expect(await averages.ofUser(people[2]!.userId, "shared")).to.equal(undefined);
    expect(await averages.ofModel("shared"), "two accounts would learn of each other").to.equal(undefined);
    await api.settle([[people[2]!, { model: "shared", tokens: tokens(199, 21) }]]);
    expect(await averages.ofModel("shared"), "kept for a few minutes").to.equal(undefined);
    const all = await createAverages(api.rig.pool).ofModel("shared");
    expect(all).to.include({ calls: 4 });
    expect(all?.tokens).to.include({ input: 200, output: 21 });
  });

  it("leave out what was seen of calls that failed", async () => {
    const ada = await api.rig.wallet(1_000);
    await api.settle([[ada, { model: "breaks", tokens: tokens(1_500, 800) }]]);
    for (let n = 0; n < 5; n++) {
      const seen = { startedAt: new Date(), model: "breaks", tokens: { ...tokens(1, 5), cachedInput: 1, reasoning: 1 } };
      api.rig.usage.recordFailure(eventOf(ada, { ...seen, status: "failed", httpStatus: 502, errorCode: "upstream_error" }));
    }
    await waitFor(async () => {
      const { rows } = await api.rig.pool.query<{ failed: bigint }>("SELECT sum(failed) AS failed FROM usage_hourly WHERE user_id = $1", [
        ada.userId,
      ]);
      return Number(rows[0]?.failed) === 5;
    });
    const found = await createAverages(api.rig.pool).ofUser(ada.userId, "breaks");
    expect(found).to.include({ calls: 1 });
    expect(found?.tokens).to.include({ input: 1_500, cachedInput: 0, output: 800, reasoning: 0 });
    const { data } = await api.get<object>("/api/user/usage/patterns", ada);
    expect(data).to.include({ average_input_tokens: 1_500, average_output_tokens: 800, requests: 6 });
    const since = new Date(Date.now() - 3_600_000 * 2);
    const half = new Date(since.getTime() - (since.getTime() % 3_600_000) + 1_800_000);
    expect(await usedSince(api.rig.pool, `user:${ada.userId}`, half)).to.include({ failed: 5n, input_tokens: 1_500n, output_tokens: 800n });
  });
});
