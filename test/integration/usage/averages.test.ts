import { expect } from "chai";
import { createAverages } from "../../../src/usage/index.ts";
import { useStack } from "../../support/stack.ts";
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
});
