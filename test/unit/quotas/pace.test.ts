import { expect } from "chai";
import { nextSize } from "../../../src/quotas/reset/pace.ts";

describe("the size of batches that calls wait for", () => {
  const next = (size: number, tookMs: number) => nextSize(size, { tookMs, targetMs: 20, most: 500 });

  it("grows while there is time, no more than to the double", () => {
    expect([next(30, 10), next(30, 1), next(100, 16), next(400, 2)]).to.deep.equal([60, 60, 125, 500]);
  });

  it("shrinks at once to what fits, and never to so few that there are only more of them", () => {
    expect([next(100, 40), next(100, 1_000), next(25, 1_000)]).to.deep.equal([50, 25, 25]);
  });
});
