import { expect } from "chai";
import { refusalOf, stateOf, type CampaignRow } from "../../../src/rewards/campaign/rules.ts";

const at = (text: string) => new Date(text);
const campaign = (more: Partial<CampaignRow> = {}): CampaignRow => ({
  id: "c",
  code: "SPRING",
  name: "Spring",
  description: null,
  trigger: "claim",
  status: "active",
  listed: true,
  starts_at: at("2026-03-01T00:00:00Z"),
  ends_at: at("2026-04-01T00:00:00Z"),
  reward: 10n,
  budget: 100n,
  paid: 0n,
  claims: 0n,
  most_per_user: 1,
  new_within_days: null,
  min_topup: null,
  tiers: null,
  expires_days: 0,
  created_at: at("2026-01-01T00:00:00Z"),
  updated_at: at("2026-01-01T00:00:00Z"),
  ...more,
});
const facts = (more: object = {}) => ({
  at: at("2026-03-10T00:00:00Z"),
  member: { since: at("2026-01-01T00:00:00Z"), tier: "free" },
  claims: 0,
  topUp: 0n,
  ...more,
});

describe("a campaign", () => {
  it("runs from its first moment to before its last, unless it is paused or spent", () => {
    expect(stateOf(campaign(), at("2026-02-28T23:59:59.999Z"))).to.equal("upcoming");
    expect(stateOf(campaign(), at("2026-03-01T00:00:00Z"))).to.equal("running");
    expect(stateOf(campaign(), at("2026-03-31T23:59:59.999Z"))).to.equal("running");
    expect(stateOf(campaign(), at("2026-04-01T00:00:00Z"))).to.equal("ended");
    expect(stateOf(campaign({ status: "paused" }), at("2026-03-10T00:00:00Z"))).to.equal("paused");
    expect(stateOf(campaign({ paid: 90n }), at("2026-03-10T00:00:00Z"))).to.equal("running");
    expect(stateOf(campaign({ paid: 91n }), at("2026-03-10T00:00:00Z"))).to.equal("spent");
  });

  for (const [what, more, fact, expected] of [
    ["pays whoever meets every condition", {}, {}, undefined],
    ["pays no more often than it says", {}, { claims: 1 }, "most_per_user"],
    ["says that its budget is spent", { paid: 95n }, {}, "budget_spent"],
    ["pays nothing before it runs", {}, { at: at("2026-02-01T00:00:00Z") }, "not_running"],
    ["is for new accounts", { new_within_days: 7 }, {}, "new_users_only"],
    [
      "counts the age of an account to the moment",
      { new_within_days: 7 },
      { member: { since: at("2026-03-03T00:00:00Z"), tier: "free" } },
      undefined,
    ],
    ["is for some tiers", { tiers: ["pro"] }, {}, "tier"],
    ["is for top-ups that are large enough", { min_topup: 50n }, { topUp: 49n }, "min_topup"],
    ["takes the least that is large enough", { min_topup: 50n }, { topUp: 50n }, undefined],
  ] as const) {
    it(what, () => expect(refusalOf(campaign(more as Partial<CampaignRow>), facts(fact))).to.equal(expected));
  }
});
