import { expect } from "chai";
import { answerOf, DONE, streamOf } from "../rawUpstream.ts";
import { useOpenai } from "./rig.ts";

const chunk = (text: string, more: object = {}): string =>
  `data: ${JSON.stringify({ id: "cmpl-1", object: "text_completion", created: 1, model: "m", choices: [{ text, index: 0, logprobs: null, finish_reason: null }], ...more })}\n\n`;
const USAGE = { prompt_tokens: 1500, completion_tokens: 800, total_tokens: 2300 };
const whole = (fields: object): string =>
  JSON.stringify({
    id: "cmpl-1",
    object: "text_completion",
    created: 1,
    model: "m",
    choices: [{ text: "Hello, traveller.", index: 0, finish_reason: "stop" }],
    ...fields,
  });

describe("legacy completions", () => {
  const rig = useOpenai();

  it("answer the official client and are charged by usage", async () => {
    const model = await rig.model({ raw: true });
    rig.raw.behave(answerOf(200, whole({ usage: USAGE })));
    const answer = await rig.client().completions.create({ model, prompt: "Once upon a time", max_tokens: 900 });
    expect(answer.choices[0]?.text).to.equal("Hello, traveller.");
    expect(rig.raw.requests[0]!.head).to.match(/^POST \/v1\/completions /);
    expect(rig.raw.requests[0]!.body).to.deep.equal({ model: "upstream-model", prompt: "Once upon a time", max_tokens: 900 });
    expect(await rig.bill()).to.include({ charged: 93_000_000n, status: "ok", estimated: false });
  });

  it("stream, and show usage only to those who ask", async () => {
    const model = await rig.model({ raw: true });
    const last = chunk("", { choices: [], usage: USAGE });
    rig.raw.behave(streamOf(chunk("Hello,"), chunk(" traveller."), last, DONE));
    const ask = (more: object) => rig.send("/v1/completions", { model, prompt: "x", stream: true, max_tokens: 900, ...more });
    expect(await (await ask({})).text()).to.equal(chunk("Hello,") + chunk(" traveller.") + DONE);
    expect(await (await ask({ stream_options: { include_usage: true } })).text()).to.equal(
      chunk("Hello,") + chunk(" traveller.") + last + DONE,
    );
    let text = "";
    for await (const piece of await rig.client().completions.create({ model, prompt: "x", stream: true, max_tokens: 900 })) {
      text += piece.choices[0]?.text ?? "";
    }
    expect(text).to.equal("Hello, traveller.");
    expect((await rig.bill()).charged).to.equal(3n * 93_000_000n);
  });

  it("are counted when the provider does not say, without the prompt that is echoed", async () => {
    const model = await rig.model({ raw: true });
    rig.raw.behave(streamOf(chunk("Once upon a time"), chunk("Hello, traveller."), DONE));
    const ask = (echo: boolean) => rig.send("/v1/completions", { model, prompt: "Once upon a time", echo, stream: true });
    await (await ask(true)).text();
    // 4 tokens in, 4 of 8 tokens out.
    expect(await rig.bill()).to.deep.include({ charged: 360_000n, estimated: true, tokens: [4, 4] });
    await (await ask(false)).text();
    expect((await rig.bill()).tokens).to.deep.equal([4, 8]);
  });

  it("hold for every answer that is written, also those that do not come back", async () => {
    const model = await rig.model({ raw: true, input: "0", output: "1000" });
    const poor = await rig.relay.customer({ credits: "100" });
    rig.raw.behave(answerOf(200, whole({ usage: { prompt_tokens: 1, completion_tokens: 90, total_tokens: 91 } })));
    const ask = (more: object) => rig.client(poor.key).completions.create({ model, prompt: ["a", "b"], max_tokens: 10, ...more });
    const refused = await ask({ n: 2, best_of: 6 }).catch((error: { status: number }) => error.status);
    expect(refused).to.equal(402);
    expect((await ask({ n: 2, best_of: 5 })).choices).to.have.length(1);
  });

  it("have at most 16 tokens unless they say otherwise", async () => {
    const model = await rig.model({ raw: true });
    rig.raw.behave(answerOf(200, whole({ usage: USAGE })));
    await rig.client().completions.create({ model, prompt: [5, 6, 7] });
    expect(rig.raw.requests[0]!.body).to.deep.include({ max_tokens: 16, prompt: [5, 6, 7] });
  });

  for (const [param, body] of [
    ["prompt", {}],
    ["prompt", { prompt: 5 }],
    ["prompt", { prompt: [] }],
    ["prompt[1]", { prompt: ["a", 5] }],
    ["prompt", { prompt: [1, -1] }],
    ["best_of", { prompt: "x", n: 3, best_of: 2 }],
    ["best_of", { prompt: "x", best_of: 21 }],
    ["max_tokens", { prompt: "x", max_tokens: -1 }],
    ["echo", { prompt: "x", echo: "yes" }],
  ] as const) {
    it(`are refused with the name of the field: ${param} in ${JSON.stringify(body)}`, async () => {
      const model = await rig.model({ raw: true });
      const response = await rig.send("/v1/completions", { model, ...body });
      expect(response.status).to.equal(400);
      expect(await response.json()).to.have.nested.property("error.param", param);
    });
  }
});
