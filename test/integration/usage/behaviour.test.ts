import { expect } from "chai";
import { behaviourSince } from "../../../src/usage/behaviour.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { eventOf, usageRig, type UsageRig } from "../../support/usage.ts";

describe("how a person's calls ended", () => {
  const places = useStack();
  let rig: UsageRig;
  before(() => {
    rig = usageRig({ url: places.databaseUrl });
  });
  after(() => rig.close());

  it("is their doing where we refused them, not where a provider refused us", async () => {
    const owner = await rig.wallet(1);
    for (const errorCode of ["model_not_found", "rate_limited", "upstream_refused", "upstream_quota_exceeded"]) {
      rig.usage.recordFailure(
        eventOf(owner, { status: "failed", errorCode, errorClass: "refused", httpStatus: 502, priceVersionId: null }),
      );
    }
    rig.usage.recordFailure(eventOf(owner, { status: "failed", errorCode: "upstream_rejected", errorClass: "rejected", httpStatus: 400 }));
    const since = new Date(Date.now() - 60_000);
    const found = await waitFor(async () => {
      const behaviour = (await behaviourSince(rig.pool, [owner.userId], since)).get(owner.userId);
      return behaviour?.calls === 5 ? behaviour : undefined;
    });
    expect(found).to.deep.equal({ calls: 5, refused: 2, rejected: 1 });
  });
});
