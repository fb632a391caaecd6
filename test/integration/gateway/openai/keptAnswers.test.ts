import { expect } from "chai";
import { NotFoundError } from "openai";
import { forgetExpiredAnswers } from "../../../../src/gateway/answers/index.ts";
import { mintToken } from "../mint.ts";
import { answerOf } from "../rawUpstream.ts";
import { useOpenai } from "./rig.ts";

const COMPLETED = JSON.stringify({
  id: "resp_1",
  object: "response",
  status: "completed",
  output: [],
  usage: { input_tokens: 1500, output_tokens: 800, total_tokens: 2300 },
});

describe("responses that a provider keeps", () => {
  const rig = useOpenai();

  it("belong to the account that made them: it alone builds on them, reads and deletes them", async () => {
    const model = await rig.model({ input: "30", output: "60" });
    const bob = await rig.relay.customer();
    const mine = rig.client();
    const his = rig.client(bob.key);
    const first = await mine.responses.create({ model, input: "My name is Ada. [[usage:1000,200]]" });
    const second = await mine.responses.create({ model, input: "And?", previous_response_id: first.id });
    expect(second.usage!.input_tokens).to.be.greaterThan(100);
    const streamed = await mine.responses.stream({ model, input: "More?", previous_response_id: second.id }).finalResponse();
    expect((await mine.responses.retrieve(streamed.id)).id).to.equal(streamed.id);

    const refused = async (work: () => Promise<unknown>): Promise<unknown> => {
      try {
        return await work();
      } catch (error) {
        return error;
      }
    };
    for (const work of [
      () => his.responses.create({ model, input: "And?", previous_response_id: first.id }),
      () => his.responses.create({ model, input: "And?", conversation: "conv_1" }),
      () => his.responses.create({ model, input: [{ type: "item_reference", id: first.output[0]!.id! }] }),
      () => his.responses.create({ model, input: [{ type: "reasoning", id: first.output[0]!.id!, summary: [] }] }),
      () => mine.responses.create({ model, input: "And?", previous_response_id: `${first.id}\0` }),
      () => his.responses.create({ model, input: [{ type: "image_generation_call", id: "ig_1" } as never] }),
      () => his.responses.retrieve(first.id),
      () => his.responses.delete(first.id),
      () => mine.responses.retrieve("resp_unknown"),
      () => mine.responses.retrieve(first.output[0]!.id!),
    ]) {
      expect(await refused(work)).to.be.instanceOf(NotFoundError);
    }
    await mine.responses.create({
      model,
      input: [
        { type: "item_reference", id: first.output[0]!.id! },
        { role: "user", content: "And?" },
      ],
    });

    const before = (await rig.bill()).charged;
    expect((await mine.responses.retrieve(first.id)).output_text).to.equal(first.output_text);
    await mine.responses.delete(first.id);
    expect(await refused(() => mine.responses.retrieve(first.id))).to.be.instanceOf(NotFoundError);
    expect(await refused(() => mine.responses.create({ model, input: "And?", previous_response_id: first.id }))).to.be.instanceOf(
      NotFoundError,
    );
    expect((await rig.bill()).charged).to.equal(before);
  });

  it("made with an end-user token are its own: another token neither reads nor builds on them, the account's key does", async () => {
    const model = await rig.model();
    const [ann, ben] = [rig.client(await mintToken(rig.relay, rig.ada)), rig.client(await mintToken(rig.relay, rig.ada))];
    const first = await ann.responses.create({ model, input: "My name is Ann." });
    const keys = await rig.client().responses.create({ model, input: "My name is Ada." });
    expect((await ann.responses.retrieve(first.id)).id).to.equal(first.id);
    const second = await ann.responses.create({ model, input: "And?", previous_response_id: first.id });
    expect((await rig.client().responses.retrieve(second.id)).id).to.equal(second.id);
    await rig.client().responses.create({ model, input: "And?", previous_response_id: second.id });
    for (const work of [
      () => ben.responses.retrieve(first.id),
      () => ben.responses.delete(first.id),
      () => ben.responses.create({ model, input: "And?", previous_response_id: first.id }),
      () => ben.responses.create({ model, input: [{ type: "item_reference", id: first.output[0]!.id! }] }),
      () => ben.responses.retrieve(keys.id),
    ]) {
      expect(await work().catch((error: unknown) => error)).to.be.instanceOf(NotFoundError);
    }
    expect((await ann.responses.retrieve(first.id)).output_text).to.equal(first.output_text);
    await ann.responses.delete(first.id);
  });

  it("hold for what the provider adds of the answer they build on", async () => {
    const model = await rig.model({ input: "100", output: "0", maxOutput: 16 });
    const poor = await rig.relay.customer({ credits: "120" });
    const first = await rig.client(poor.key).responses.create({ model, input: "x [[usage:600,100]]" });
    await rig.relay.settle();
    // 60 credits are left; 700 tokens cost 70.
    const refused = await rig
      .client(poor.key)
      .responses.create({ model, input: "x", previous_response_id: first.id })
      .catch((error: unknown) => error);
    expect(refused).to.include({ status: 402 });
  });

  it("hold for no more than the model reads, whatever the provider said of the answer they build on", async () => {
    const model = await rig.model({ raw: true, columns: { context_length: 10_000 } });
    rig.raw.behave(answerOf(200, COMPLETED.replace("1500", "2000000000").replace("2300", "2000000800")));
    await rig.send("/v1/responses", { model, input: "x", max_output_tokens: 800 });
    await rig.relay.settle();
    const rich = await rig.relay.customer();
    // Whose it is, as if she had paid for it.
    await rig.relay.pool.query("UPDATE relay_responses SET user_id = $1 WHERE user_id = $2", [rich.userId, rig.ada.userId]);
    rig.raw.behave(answerOf(200, COMPLETED));
    const body = { model, input: "y", previous_response_id: "resp_1", max_output_tokens: 800 };
    const next = await rig.send("/v1/responses", body, { headers: { authorization: `Bearer ${rich.key}` } });
    expect(next.status).to.equal(200);
  });

  it("are made and built on with one key of the provider, whatever the conversation", async () => {
    const model = await rig.model({ raw: true, providers: [{ keys: ["key-1", "key-2", "key-3"] }] });
    rig.raw.behave(answerOf(200, COMPLETED));
    for (let i = 0; i < 6; i++)
      expect((await rig.send("/v1/responses", { model, input: "x" }, { headers: { "x-session-id": `chat-${i}` } })).status).to.equal(200);
    await rig.send("/v1/responses", { model, input: "y", previous_response_id: "resp_1", store: false });
    const used = () => new Set(rig.raw.requests.map(({ head }) => /Bearer (\S+)/.exec(head)![1]));
    expect(rig.raw.requests).to.have.length(7);
    expect(used().size).to.equal(1);
    for (let i = 0; i < 6; i++) await rig.send("/v1/responses", { model, input: "x", store: false });
    expect(used().size).to.equal(3);
  });

  it("that are not kept are nobody's", async () => {
    const model = await rig.model();
    const first = await rig.client().responses.create({ model, input: "x", store: false });
    expect(
      await rig
        .client()
        .responses.retrieve(first.id)
        .catch((error: unknown) => error),
    ).to.be.instanceOf(NotFoundError);
    const refused = await rig.send("/v1/responses", { model, input: "y", previous_response_id: first.id });
    expect(refused.status).to.equal(404);
    expect(await refused.json()).to.have.nested.property("error.param", "previous_response_id");
  });

  it("go on at the provider that has what they build on, whatever the order", async () => {
    const model = await rig.relay.model([rig.raw.url, rig.upstream.url]);
    rig.raw.behave(answerOf(503, "{}"));
    const first = await rig.client().responses.create({ model, input: "x" });
    rig.raw.behave(answerOf(200, COMPLETED));
    const next = await rig.client().responses.create({ model, input: "y", previous_response_id: first.id });
    expect(next.id).to.not.equal("resp_1");
    const elsewhere = await rig.model({ raw: true });
    const refused = await rig.send("/v1/responses", { model: elsewhere, input: "y", previous_response_id: first.id });
    expect(refused.status).to.equal(400);
    expect(await refused.json()).to.have.nested.property("error.param", "previous_response_id");
  });

  it("are forgotten when their provider has forgotten them", async () => {
    const model = await rig.model();
    const first = await rig.client().responses.create({ model, input: "x" });
    const { pool } = rig.relay;
    const kept = async () => (await pool.query("SELECT FROM relay_responses WHERE user_id = $1", [rig.ada.userId])).rowCount;
    expect(await kept()).to.be.greaterThan(1);
    await forgetExpiredAnswers(pool);
    expect(await kept()).to.be.greaterThan(1);
    await pool.query("UPDATE relay_responses SET expires_at = now() - interval '1 second' WHERE user_id = $1", [rig.ada.userId]);
    expect((await rig.send("/v1/responses", { model, input: "y", previous_response_id: first.id })).status).to.equal(404);
    await forgetExpiredAnswers(pool);
    expect(await kept()).to.equal(0);
  });
});
