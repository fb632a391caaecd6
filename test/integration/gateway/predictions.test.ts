import { expect } from "chai";
import { useOpenai } from "./openai/rig.ts";

const PREDICTED = "The toll keeper opens the gate for whoever has paid. ".repeat(40);

describe("a chat with a predicted answer", () => {
  // What a call may cost beyond its hold is charged as far as this: here nothing, so that a hold too small shows.
  const rig = useOpenai({ SETTLE_TOLERANCE_PERCENT: "0", SETTLE_TOLERANCE_CREDITS: "0" });

  const chat = (model: string, body: object) =>
    rig.send("/v1/chat/completions", {
      model,
      messages: [{ role: "user", content: "[[usage:20,400]]" }],
      prediction: { type: "content", content: PREDICTED },
      ...body,
    });

  it("is charged in full for what of it was not used, beyond the answer's cap", async () => {
    const model = await rig.model();
    expect((await chat(model, { max_completion_tokens: 30 })).status).to.equal(200);
    expect((await rig.bill()).charged).to.equal(20n * 30_000n + 400n * 60_000n);
  });

  it("is refused when the wallet covers the answer but not what of the prediction may be left over", async () => {
    const poor = await rig.relay.customer({ credits: "10" });
    const headers = { authorization: `Bearer ${poor.key}` };
    const model = await rig.model();
    const body = { model, max_completion_tokens: 30, messages: [{ role: "user", content: "hello" }] };
    expect((await rig.send("/v1/chat/completions", body, { headers })).status).to.equal(200);
    const predicted = { ...body, prediction: { type: "content", content: PREDICTED } };
    expect((await rig.send("/v1/chat/completions", predicted, { headers })).status).to.equal(402);
  });

  it("has its answer capped by what the wallet leaves beside it", async () => {
    const poor = await rig.relay.customer({ credits: "50" });
    const model = await rig.model({ raw: true, maxOutput: 1_000 });
    const headers = { authorization: `Bearer ${poor.key}` };
    await rig.send("/v1/chat/completions", { model, messages: [{ role: "user", content: "hello" }] }, { headers }).catch(() => undefined);
    const plain = Number(rig.raw.requests[0]!.body["max_tokens"]);
    rig.raw.behave((socket) => void socket.end());
    const messages = [{ role: "user", content: "hello" }];
    await rig.send("/v1/chat/completions", { model, messages, prediction: { type: "content", content: PREDICTED } }, { headers });
    const beside = plain - Number(rig.raw.requests[0]!.body["max_tokens"]);
    expect(beside).to.be.within(300, 600);
  });
});
