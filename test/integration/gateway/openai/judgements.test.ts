import { expect } from "chai";
import { waitFor } from "../../../support/stack.ts";
import { answerOf } from "../rawUpstream.ts";
import { useOpenai } from "./rig.ts";

describe("moderation", () => {
  const rig = useOpenai();

  it("answers the official client and is charged by the request", async () => {
    const model = await rig.model({ input: "0", output: "0", prices: { request_price: "0.5" } });
    const answer = await rig.client().moderations.create({ model, input: ["I hate tolls", "I like tolls"] });
    expect(answer.results.map((result) => result.flagged)).to.deep.equal([true, false]);
    expect(await rig.bill()).to.deep.include({ charged: 500_000n, estimated: false, tokens: [0, 0] });
  });

  it("is charged by tokens as counted here where the price is by tokens", async () => {
    const model = await rig.model();
    await rig.client().moderations.create({ model, input: [{ type: "text", text: "Hello, traveller." }] });
    expect(await rig.bill()).to.deep.include({ charged: 120_000n, estimated: true, tokens: [4, 0] });
  });

  it("without a model is the vendor's usual one", async () => {
    const refused = await rig.send("/v1/moderations", { input: "x" });
    expect(refused.status).to.equal(404);
    expect(await refused.json()).to.have.nested.property("error.code", "model_not_found");
    const model = await rig.model({ raw: true });
    await rig.relay.pool.query("UPDATE models SET aliases = ARRAY['omni-moderation-latest'] WHERE name = $1", [model]);
    await rig.relay.pool.query("SELECT pg_notify('tollkeeper_changed', 'model:*')");
    rig.raw.behave(answerOf(200, '{"id":"modr-1","model":"m","results":[]}'));
    let status = 404;
    for (let i = 0; i < 50 && status === 404; i++) status = (await rig.send("/v1/moderations", { input: "x" })).status;
    expect(status).to.equal(200);
    expect(rig.raw.requests[0]!.body).to.deep.equal({ input: "x", model: "upstream-model" });
    await rig.relay.pool.query("UPDATE models SET aliases = '{}' WHERE name = $1", [model]);
  });

  for (const [param, input] of [
    ["input", undefined],
    ["input", []],
    ["input", 5],
    ["input[0]", [5]],
    ["input[0].text", [{ type: "text" }]],
    ["input[0].type", [{}]],
  ] as const) {
    it(`is refused with the name of the field: ${param} in ${JSON.stringify(input)}`, async () => {
      const refused = await rig.send("/v1/moderations", { model: "m", input });
      expect(refused.status).to.equal(400);
      expect(await refused.json()).to.have.nested.property("error.param", param);
    });
  }
});

describe("rerank", () => {
  const rig = useOpenai();
  const documents = ["The keeper takes the toll.", "A cat sleeps.", "Tolls are paid at the gate."];
  const ask = (body: object) => rig.send("/v1/rerank", { query: "Who takes the toll?", documents, ...body });

  it("answers and is charged by the tokens that the vendor counts", async () => {
    const model = await rig.model();
    const answer = (await (await ask({ model, top_n: 2, query: "Who takes the toll? [[usage:1500,0]]" })).json()) as {
      results: { index: number }[];
    };
    expect(answer.results).to.have.length(2);
    expect(answer.results[0]!.index).to.equal(0);
    expect(await rig.bill()).to.deep.include({ charged: 45_000_000n, estimated: false, tokens: [1500, 0] });
  });

  it("is charged by the vendor's search units where the price is by the request", async () => {
    const model = await rig.model({ raw: true, input: "0", output: "0", prices: { request_price: "2" } });
    rig.raw.behave(answerOf(200, '{"results":[],"meta":{"billed_units":{"search_units":3}}}'));
    // Held for three: 201 documents.
    await ask({ model, documents: Array.from({ length: 201 }, () => "a toll") });
    expect(await rig.bill()).to.deep.include({ charged: 6_000_000n, estimated: false, units: { requests: 3 } });
  });

  it("is charged for what was asked, and operators are told, when the vendor says that it was for nothing", async () => {
    const model = await rig.model({ raw: true, input: "0", output: "0", prices: { request_price: "2" } });
    rig.raw.behave(answerOf(200, '{"results":[],"meta":{"billed_units":{"search_units":0}}}'));
    await ask({ model, documents: Array.from({ length: 201 }, () => "a toll") });
    expect(await rig.bill()).to.deep.include({ charged: 6_000_000n, estimated: false, units: { requests: 3 } });
    const { id } = (await rig.relay.lastEvent(rig.ada))!;
    const incident = async () => (await rig.relay.pool.query("SELECT kind, details FROM incidents WHERE subject = $1", [id])).rows[0];
    await waitFor(async () => (await incident()) !== undefined, { timeoutMs: 2_000, message: "the incident" });
    expect(await incident()).to.have.property("kind", "usage_clamped");
    expect((await incident()).details.notes).to.deep.equal(["search_units would be 0 for 201 documents"]);
  });

  it("is charged however long the query is, times however many documents", async () => {
    const model = await rig.model({ raw: true, input: "0", output: "0", prices: { request_price: "2" } });
    rig.raw.behave(answerOf(200, '{"results":[],"meta":{"billed_units":{"search_units":100}}}'));
    const sent = await ask({ model, query: "toll ".repeat(300_000), documents: Array.from({ length: 10_000 }, () => "a toll") });
    expect(sent.status).to.equal(200);
    expect(await rig.bill()).to.deep.include({ charged: 200_000_000n, status: "ok" });
  });

  it("is counted when the vendor does not say: the query with every document", async () => {
    const model = await rig.model({ raw: true });
    rig.raw.behave(answerOf(200, '{"results":[]}'));
    await ask({ model, query: "Hello", documents: ["Hello, traveller.", { text: "Hello" }] });
    const { tokens, estimated } = await rig.bill();
    expect(estimated).to.equal(true);
    // 2 × 1 for the query, 4 for the text, some for the object with its name.
    expect(tokens[0]).to.be.within(2 + 4 + 1, 2 + 4 + 6);
  });

  it("no results are no answer", async () => {
    const model = await rig.model({ raw: true });
    rig.raw.behave(answerOf(200, '{"id":"x"}'));
    expect((await ask({ model })).status).to.equal(502);
    expect(await rig.bill()).to.include({ charged: 0n, status: "failed" });
  });

  for (const [param, body] of [
    ["query", { query: "" }],
    ["query", { query: null }],
    ["documents", { documents: [] }],
    ["documents", { documents: "x" }],
    ["documents[1]", { documents: ["x", 5] }],
    ["top_n", { top_n: 0 }],
  ] as const) {
    it(`is refused with the name of the field: ${param} in ${JSON.stringify(body)}`, async () => {
      const refused = await ask({ model: "m", ...body });
      expect(refused.status).to.equal(400);
      expect(await refused.json()).to.have.nested.property("error.param", param);
    });
  }
});
