import { expect } from "chai";
import { useStack } from "../../support/stack.ts";
import { message, startDify, type DifyRig } from "./rig.ts";

const MICRO = 1_000_000n;

describe("Dify's webhook", function () {
  this.timeout(30_000);
  const places = useStack();
  let rig: DifyRig;

  before(async () => {
    rig = await startDify(places.databaseUrl, {
      keys: ["a-key-of-the-year-before", "a-key-of-this-year"],
      secrets: ["last-year-secret-00", "this-year-secret-00"],
    });
    await rig.model("GPT-4", { aliases: ["openai/gpt-4"] });
    await rig.model("fraction", { input: "0.001", output: "0" });
  });
  afterEach(async () => {
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
  });
  after(() => rig.close());

  const sign = { key: "a-key-of-this-year", secret: "this-year-secret-00" };
  const send = (body: ReturnType<typeof message>) => rig.send(body, sign);

  it("charges 1500 and 800 tokens at 30 and 60 per 1000 with 93 points and says so in Dify's names", async () => {
    const ada = await rig.person(1_000);
    const answer = await send(message({ user_id: ada.userId }));
    expect(answer.status).to.equal(200);
    expect(answer.body).to.have.all.keys("success", "message", "data");
    expect(answer.body.data).to.have.all.keys("consumptionId", "pointsDeducted", "tokensUsed");
    expect(answer.body.data).to.include({ pointsDeducted: 93, tokensUsed: 2_300 });
    expect(answer.body.data.consumptionId).to.match(/^cons_[0-9a-f]{32}$/);
    expect(await rig.balance(ada)).to.include({ total: 907n * MICRO, held: 0n, shortfall: 0n });
  });

  it("has settled the call when it answers, so that the workflow finds nothing left to do", async () => {
    const ada = await rig.person(1_000);
    await send(message({ user_id: ada.userId }));
    const { rows } = await rig.pool.query("SELECT cost, settled_at IS NOT NULL AS settled FROM usage_events WHERE user_id = $1", [
      ada.userId,
    ]);
    expect(rows).to.deep.equal([{ cost: 93n * MICRO, settled: true }]);
    expect(await rig.settlement.settleBatch(0, 100)).to.include({ taken: 0 });
  });

  it("writes points that are no whole number exactly", async () => {
    const ada = await rig.person(1);
    const answer = await send(message({ user_id: ada.userId, model_name: "fraction", input_tokens: 1, output_tokens: 0, total_tokens: 1 }));
    expect(answer.text).to.contain('"pointsDeducted":0.000001,');
  });

  it("finds a model by name or alias, whatever the case", async () => {
    const ada = await rig.person(1_000);
    for (const model of ["gpt-4", "GPT-4", "OpenAI/GPT-4"]) {
      expect((await send(message({ user_id: ada.userId, model_name: model }))).body.data.pointsDeducted).to.equal(93);
    }
  });

  it("takes each of its keys, as X-API-Key or bearer token, and each of its secrets", async () => {
    const ada = await rig.person(1_000);
    for (const key of ["a-key-of-the-year-before", "a-key-of-this-year"]) {
      for (const bearer of [false, true]) {
        for (const secret of ["last-year-secret-00", "this-year-secret-00"]) {
          expect((await rig.send(message({ user_id: ada.userId }), { key, secret, bearer })).status).to.equal(200);
        }
      }
    }
  });

  it("gives the first answer again, byte for byte, for the same message or the same request", async () => {
    const ada = await rig.person(1_000);
    const first = message({ user_id: ada.userId });
    const answer = await send(first);
    expect(await send(first)).to.deep.equal(answer);
    expect(await send({ ...first, request_id: "another-request" })).to.deep.equal(answer);
    expect(await send({ ...message({ user_id: ada.userId }), request_id: first.request_id })).to.deep.equal(answer);
    expect(await send({ ...message({ user_id: ada.userId }), request_id: "another-request" })).to.deep.equal(answer);
    expect((await rig.balance(ada)).total).to.equal(907n * MICRO);
  });

  it("charges once and answers the same when a hundred copies come at the same instant", async () => {
    const ada = await rig.person(1_000);
    const body = message({ user_id: ada.userId });
    const answers = await Promise.all(Array.from({ length: 100 }, () => send(body)));
    expect(new Set(answers.map(({ text }) => text)).size).to.equal(1);
    expect((await rig.balance(ada)).total).to.equal(907n * MICRO);
    const { rows } = await rig.pool.query("SELECT deliveries FROM dify_events WHERE message_id = $1", [body.data["message_id"]]);
    expect(rows).to.deep.equal([{ deliveries: 100 }]);
  });

  it("charges a message that came first under another's request id, at the same instant, when it comes under its own", async () => {
    const ada = await rig.person(1_000);
    const [one, two] = [message({ user_id: ada.userId }), message({ user_id: ada.userId })];
    const answers = await Promise.all([send(one), send({ ...two, request_id: one.request_id }), send(two)]);
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200]);
    expect((await rig.balance(ada)).total).to.equal(814n * MICRO);
  });

  it("acknowledges and ignores other events", async () => {
    const answer = await send({ ...message(), event: "workflow_finished" });
    expect([answer.status, answer.body.success, answer.body.data]).to.deep.equal([200, true, null]);
    expect(
      (
        await rig.raw(
          JSON.stringify({ event: "ping" }),
          (await import("../../support/dify.ts")).signed(JSON.stringify({ event: "ping" }), sign),
        )
      ).status,
    ).to.equal(200);
  });

  it("keeps a record of each deduction with all that went into it", async () => {
    const ada = await rig.person(1_000);
    const body = message({ user_id: ada.userId });
    const answer = await send(body);
    const { body: detail } = await rig.admin("GET", `/api/admin/dify/events/${answer.body.data.consumptionId}`);
    expect(detail.data).to.deep.include({
      state: "charged",
      user_id: ada.userId,
      conversation_id: body.data["conversation_id"],
      message_id: body.data["message_id"],
      request_id: body.request_id,
      model: "GPT-4",
      model_name: "gpt-4",
      input_tokens: 1_500,
      output_tokens: 800,
      points: "93",
      balance_after: "907",
      answer: answer.body,
    });
    const { rows } = await rig.pool.query("SELECT points_micro, total_tokens FROM token_usage WHERE user_id = $1", [ada.userId]);
    expect(rows).to.deep.equal([{ points_micro: 93n * MICRO, total_tokens: 2_300n }]);
  });
});
