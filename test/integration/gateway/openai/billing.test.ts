import { expect } from "chai";
import { useOpenai } from "./rig.ts";

describe("the wallet as chat clients read it", () => {
  const rig = useOpenai();
  const get = async (path: string, key = rig.ada.key) => {
    const answer = await fetch(rig.relay.url + path, { headers: { authorization: `Bearer ${key}` } });
    return { status: answer.status, body: (await answer.json()) as Record<string, number> & { error?: { code: string } } };
  };
  const spend = async (key: string): Promise<void> => {
    const model = await rig.model();
    await rig.client(key).responses.create({ model, input: "x [[usage:1500,800]]", max_output_tokens: 900 });
    await rig.relay.settle();
  };

  it("is what was spent and what is left, with the version in the path and without", async () => {
    await spend(rig.ada.key);
    for (const prefix of ["/v1/dashboard/billing", "/dashboard/billing"]) {
      const { body } = await get(`${prefix}/subscription`);
      expect(body).to.include({ object: "billing_subscription", hard_limit_usd: 1000, soft_limit_usd: 1000 });
      expect(body["access_until"]).to.be.greaterThan(Date.now() / 1_000);
      const usage = await get(`${prefix}/usage?start_date=2026-01-01&end_date=2026-02-01`);
      expect(usage.body).to.include({ object: "list", total_usage: 9_300 });
    }
  });

  it("shows a key with a limit of its own what that leaves", async () => {
    const bob = await rig.relay.customer({ keyLimits: { spend_total: "200" } });
    await spend(bob.key);
    expect((await get("/v1/dashboard/billing/subscription", bob.key)).body).to.include({ hard_limit_usd: 200 });
    expect((await get("/v1/dashboard/billing/usage", bob.key)).body).to.include({ total_usage: 9_300 });
    const rich = await rig.relay.customer({ keyLimits: { spend_daily: "5000" } });
    expect((await get("/v1/dashboard/billing/subscription", rich.key)).body).to.include({ hard_limit_usd: 1000 });
  });

  it("is for those with a key", async () => {
    const { status, body } = await get("/dashboard/billing/usage", "sk-tk-wrong");
    expect([status, body.error?.code]).to.deep.equal([401, "invalid_api_key"]);
    expect((await rig.send("/v1/dashboard/billing/usage", "{}")).status).to.equal(405);
    expect((await get("/v1/dashboard/billing/credit_grants")).status).to.equal(404);
  });

  it("counts as a request and costs nothing", async () => {
    const bob = await rig.relay.customer({ userLimits: { requests_per_minute: 1 } });
    expect((await get("/v1/dashboard/billing/usage", bob.key)).status).to.equal(200);
    expect((await get("/v1/dashboard/billing/usage", bob.key)).status).to.equal(429);
    expect((await rig.relay.balance(bob)).total).to.equal("1000000000");
  });
});

describe("the wallet in dollars", () => {
  const rig = useOpenai({ CREDITS_PER_DOLLAR: "7" });

  it("goes by the rate that is configured", async () => {
    const answer = await fetch(`${rig.relay.url}/dashboard/billing/subscription`, { headers: { authorization: `Bearer ${rig.ada.key}` } });
    expect(await answer.json()).to.include({ hard_limit_usd: 142.857143 });
  });
});
