import { expect } from "chai";
import { createBalanceCheck, type BalanceCheckError, type CheckBalanceBeforeAI } from "../../clients/typescript/checkBalance.ts";
import { customer, operator, pricedModel, request, settledBalance, type Person, type Product } from "../support/people.ts";
import { product, waitFor } from "../support/stack.ts";

interface Estimate {
  model: string;
  input_tokens: number;
  output_tokens: number;
  basis: string;
  calls: number;
  price_multiplier: string;
  estimated_cost: string;
  points: string;
}

interface Check extends Estimate {
  can_proceed: boolean;
  canProceed: boolean;
  balance: string;
  held: string;
  shortfall: string;
  reason: string | null;
  hold: string;
  estimatedCost: string;
}

describe("before a call", () => {
  let at: Product;
  let admin: Person;
  let grace: Person & { key: string };
  let model: string;

  before(async () => {
    at = await product();
    admin = await operator(at);
    grace = await customer(at, admin, { credits: "100" });
    model = await pricedModel(admin, at.upstream);
  });

  const estimate = (query: string, token = grace.token) =>
    request<Estimate>(at.api, "GET", `/api/user/points/estimate?${query}`, { token });
  const check = (body: unknown, token = grace.token) => request<Check>(at.api, "POST", "/api/user/points/check-balance", { body, token });

  it("an estimate is what the call would be charged, by access token and by key", async () => {
    for (const token of [grace.token, grace.key]) {
      const { status, body } = await estimate(`model=${model.toUpperCase()}&input_tokens=1500&output_tokens=800`, token);
      expect(status).to.equal(200);
      expect(body.data).to.deep.include({ model, basis: "given", estimated_cost: "93", points: "93", price_multiplier: "1" });
    }
  });

  it("counts that are left out are those of the user's own calls", async () => {
    const unknown = (await estimate(`model=${model}`)).body.data;
    expect(unknown).to.include({ basis: "assumed", calls: 0, input_tokens: 1_000, output_tokens: 500, estimated_cost: "60" });
    for (const usage of ["100,10", "201,31"]) {
      await request(at.api, "POST", "/v1/chat/completions", {
        token: grace.key,
        body: { model, max_tokens: 100, messages: [{ role: "user", content: `[[usage:${usage}]]` }] },
      });
    }
    await settledBalance(grace);
    const own = await waitFor(async () => {
      const { data } = (await estimate(`model=${model}`)).body;
      return data.calls === 2 ? data : undefined;
    });
    expect(own).to.include({ basis: "history", input_tokens: 151, output_tokens: 21, estimated_cost: "5.79" });
    expect((await estimate(`model=${model}&input_tokens=1000`)).body.data).to.include({
      input_tokens: 1_000,
      output_tokens: 21,
      estimated_cost: "31.26",
    });
    const other = await pricedModel(admin, at.upstream);
    expect((await estimate(`model=${other}`)).body.data).to.include({ basis: "other_models", input_tokens: 151, output_tokens: 21 });
  });

  it("a check says whether the wallet covers the call, in both spellings", async () => {
    const { available } = await settledBalance(grace);
    const enough = await check({ model, estimated_input_tokens: 1_500, estimated_output_tokens: 100 });
    expect(enough.status).to.equal(200);
    expect(enough.body.data).to.include({
      can_proceed: true,
      canProceed: true,
      balance: available,
      held: "0",
      estimated_cost: "51",
      estimatedCost: "51",
      shortfall: "0",
    });
    for (const token of [grace.token, grace.key]) {
      const short = await check({ modelName: model, estimatedInputTokens: 10_000, estimatedOutputTokens: 0 }, token);
      expect(short.body.data).to.include({ can_proceed: false, balance: available, estimated_cost: "300" });
      expect(Number(short.body.data.shortfall)).to.be.closeTo(300 - Number(available), 1e-6);
    }
  });

  it("a page asks by the client's helper, and is told why it gets no answer", async () => {
    const { available } = await settledBalance(grace);
    const checkBalanceBeforeAI = createBalanceCheck({ baseUrl: `${at.api}/`, token: async () => grace.token });
    expect(await checkBalanceBeforeAI(model, 1_500, 100)).to.deep.equal({
      canProceed: true,
      reason: null,
      balance: available,
      held: "0",
      estimatedCost: "51",
      hold: "55.5",
      shortfall: "0",
      model,
      inputTokens: 1_500,
      outputTokens: 100,
    });
    expect(await checkBalanceBeforeAI(model, 10_000, 0)).to.include({ canProceed: false, reason: "insufficient_balance" });
    expect(await checkBalanceBeforeAI(model), "as in the own calls").to.include({ inputTokens: 151, outputTokens: 21, canProceed: true });
    const refusal = (check: CheckBalanceBeforeAI, name: string, tokens: number) =>
      check(name, tokens).then(
        () => expect.fail("it answered"),
        (error: BalanceCheckError) => [error.name, error.status, error.code],
      );
    expect(await refusal(checkBalanceBeforeAI, "nobody", 1)).to.deep.equal(["BalanceCheckError", 400, "validation_failed"]);
    expect(await refusal(checkBalanceBeforeAI, model, -1)).to.deep.equal(["BalanceCheckError", 400, "validation_failed"]);
    const stranger = createBalanceCheck({ baseUrl: at.api, token: "nobody's" });
    expect(await refusal(stranger, model, 1)).to.deep.equal(["BalanceCheckError", 401, "unauthenticated"]);
    const page = createBalanceCheck({ baseUrl: at.api, token: "t", fetch: async () => new Response("<h1>", { status: 502 }) });
    expect(await refusal(page, model, 1)).to.deep.equal(["BalanceCheckError", 502, ""]);
  });

  it("a check says what the call itself is told, by spend limits of key and account too", async () => {
    const body = { model, estimated_input_tokens: 100, estimated_output_tokens: 100 };
    const call = async (key: string) => {
      const messages = [{ role: "user", content: "[[usage:100,100]] ".padEnd(400, "toll ") }];
      const answer = await request<never>(at.api, "POST", "/v1/chat/completions", {
        token: key,
        body: { model, max_tokens: 100, messages },
      });
      return (answer.body as { error?: { code?: string } }).error?.code ?? null;
    };
    const henry = await customer(at, admin, { credits: "100" });
    const { key: narrow } = await henry.post<{ key: string }>("/api/user/keys", { name: "narrow", limits: { spend_total: "5" } });
    expect((await check(body, narrow)).body.data).to.include({ can_proceed: false, reason: "spend_limit_reached", shortfall: "0" });
    expect(await call(narrow)).to.equal("spend_limit_reached");
    for (const token of [henry.token, henry.key])
      expect((await check(body, token)).body.data).to.include({ can_proceed: true, reason: null });
    expect(await call(henry.key)).to.equal(null);
    await settledBalance(henry);
    await admin.patch(`/api/admin/users/${henry.id}`, { limits: { spend_daily: "12", requests_per_minute: 1_000 } });
    for (const token of [henry.token, henry.key]) {
      expect((await check(body, token)).body.data).to.include({ can_proceed: false, canProceed: false, reason: "spend_limit_reached" });
    }
    await waitFor(async () => (await call(henry.key)) === "spend_limit_reached");
    await admin.patch(`/api/admin/users/${henry.id}`, { limits: { quota_requests: 1, requests_per_minute: 1_000 } });
    expect((await check(body, henry.token)).body.data).to.include({ can_proceed: false, reason: "quota_exceeded" });
    await waitFor(async () => (await call(henry.key)) === "quota_exceeded");
  });

  it("a check does not promise what only the cost is covered of, without the margin of the hold", async () => {
    const ida = await customer(at, admin, { credits: "90" });
    const asked = { model, estimated_input_tokens: 3_000, estimated_output_tokens: 0 };
    const { data } = (await check(asked, ida.token)).body;
    expect(data).to.include({ can_proceed: false, reason: "insufficient_balance", estimated_cost: "90", hold: "99", shortfall: "9" });
    expect((await check({ ...asked, estimated_input_tokens: 2_700 }, ida.token)).body.data).to.include({ can_proceed: true, hold: "89.1" });
  });

  it("what a multiplier makes of the price is in both, for the key that asks", async () => {
    const cheap = await pricedModel(admin, at.upstream);
    const keys = await grace.get<{ items: { id: string }[] }>("/api/user/keys");
    await admin.call("PUT", `/api/admin/keys/${keys.items[0]!.id}/group`, { group: "batch" });
    await admin.post("/api/admin/multipliers", { name: "batches", multiplier: "0.5", key_group: "batch", model: cheap });
    const asked = `model=${cheap}&input_tokens=1500&output_tokens=800`;
    await waitFor(async () => (await estimate(asked, grace.key)).body.data.estimated_cost === "46.5");
    expect((await estimate(asked, grace.key)).body.data).to.include({ price_multiplier: "0.5" });
    expect((await estimate(asked)).body.data, "without the key").to.include({ price_multiplier: "1", estimated_cost: "93" });
    const body = { model: cheap, estimated_input_tokens: 2_000, estimated_output_tokens: 1_000 };
    expect((await check(body, grace.key)).body.data).to.include({ can_proceed: true, estimated_cost: "60" });
    expect((await check(body)).body.data).to.include({ can_proceed: false, estimated_cost: "120" });
    const list = await admin.get<{ items: { name: string }[] }>("/api/admin/multipliers");
    expect(list.items.map((item) => item.name)).to.include("batches");
  });

  it("what cannot be estimated is refused clearly", async () => {
    const bare = `${model}-bare`;
    await admin.post("/api/admin/models", { name: bare });
    const refusals: [string, number, string][] = [
      ["model=nobody", 400, "model"],
      [`model=${bare}`, 400, "model"],
      ["", 400, "model"],
      [`model=${model}&input_tokens=-1`, 400, "input_tokens"],
      [`model=${model}&input_tokens=`, 400, "input_tokens"],
      [`model=${model}&output_tokens=many`, 400, "output_tokens"],
      [`model=${model}&tokens=1`, 400, "tokens"],
    ];
    for (const [query, status, field] of refusals) {
      const answer = await estimate(query);
      expect(answer.status, query).to.equal(status);
      expect(JSON.stringify(answer.body.error), query).to.contain(`"${field}"`);
    }
    for (const body of [
      {},
      { model, estimated_input_tokens: "1" },
      { model, estimated_input_tokens: 1.5 },
      { model, tokens: 1 },
      { model: "nobody" },
    ])
      expect((await check(body)).status, JSON.stringify(body)).to.equal(400);
    expect((await request(at.api, "GET", `/api/user/points/estimate?model=${model}`)).status).to.equal(401);
    expect((await request(at.api, "POST", "/api/user/points/check-balance", { body: { model } })).status).to.equal(401);
  });
});
