import { expect } from "chai";
import { toFile } from "openai";
import { answerOf, streamOf } from "../rawUpstream.ts";
import { useOpenai } from "./rig.ts";

const IMAGE_PRICE = { input: "0", output: "0", prices: { image_price: "2" } };
const TOKENS = {
  input_tokens: 1500,
  input_tokens_details: { text_tokens: 20, image_tokens: 1480 },
  output_tokens: 800,
  total_tokens: 2300,
};
const event = (type: string, more: object = {}): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, b64_json: "QUJD", ...more })}\n\n`;

describe("pictures", () => {
  const rig = useOpenai();
  const png = async () => toFile(Buffer.from("89504e470d0a1a0a0000", "hex"), 'a "toll"\r\n.png', { type: "image/png" });

  it("from words are charged by the picture that came back", async () => {
    const model = await rig.model(IMAGE_PRICE);
    const answer = await rig.client().images.generate({ model, prompt: "a toll booth", n: 3, size: "256x256" });
    expect(answer.data).to.have.length(3);
    expect(await rig.bill()).to.deep.include({ charged: 6_000_000n, status: "ok", units: { images: 3 } });
    const raw = await rig.model({ ...IMAGE_PRICE, raw: true });
    rig.raw.behave(answerOf(200, JSON.stringify({ created: 1, data: [{ url: "https://x.invalid/1.png" }] })));
    await rig.client().images.generate({ model: raw, prompt: "a toll booth", n: 3 });
    expect(await rig.bill()).to.deep.include({ charged: 8_000_000n, estimated: false, units: { images: 1 }, tokens: [0, 0] });
  });

  it("that a provider gave beyond those asked for are charged too; other vendors' names for how many are refused", async () => {
    const model = await rig.model({ ...IMAGE_PRICE, raw: true });
    rig.raw.behave(answerOf(200, JSON.stringify({ created: 1, data: [{ b64_json: "QUJD" }, { b64_json: "QUJD" }, { b64_json: "QUJD" }] })));
    await rig.client().images.generate({ model, prompt: "a toll booth" });
    expect(await rig.bill()).to.deep.include({ charged: 6_000_000n, units: { images: 3 } });
    for (const more of [{ batch_size: 15 }, { num_images: 2 }, { sequential_image_generation: "auto" }, { N: 9 }]) {
      const refused = await rig.send("/v1/images/generations", { model, prompt: "x", ...more });
      expect(refused.status).to.equal(400);
      expect(await refused.json()).to.have.nested.property("error.param", Object.keys(more)[0]);
    }
  });

  it("from words are charged by tokens where the price is by tokens", async () => {
    const model = await rig.model();
    const answer = await rig.client().images.generate({ model, prompt: "a toll booth [[usage:1500,800]]" });
    expect(answer.usage).to.include({ input_tokens: 1500, output_tokens: 800 });
    expect(await rig.bill()).to.deep.include({ charged: 93_000_000n, estimated: false });
    const raw = await rig.model({ raw: true, input: "0", output: "1", maxOutput: null });
    rig.raw.behave(answerOf(200, JSON.stringify({ created: 1, data: [{ b64_json: "QUJD" }] })));
    await rig.client().images.generate({ model: raw, prompt: "x", quality: "medium", size: "1024x1024" });
    expect(await rig.bill()).to.deep.include({ charged: 93_000_000n + 1_056_000n, estimated: true });
  });

  it("that are large pass as they are", async () => {
    const model = await rig.model({ raw: true, prices: { image_price: "1" } });
    const data = [1, 2].map((i) => ({ b64_json: "QUJD".repeat(200_000 + i), revised_prompt: 'a "b64_json": booth' }));
    const body = JSON.stringify({ created: 1, data, usage: TOKENS });
    rig.raw.behave(answerOf(200, body));
    const answer = await rig.send("/v1/images/generations", { model, prompt: "x", n: 2 });
    expect(await answer.text()).to.equal(body);
    expect(await rig.bill()).to.deep.include({ charged: 95_000_000n, units: { images: 2 } });
  });

  it("that were asked for as a stream and come whole are an answer like any other", async () => {
    const model = await rig.model({ ...IMAGE_PRICE, raw: true });
    const body = JSON.stringify({ created: 1, data: [{ b64_json: "QUJD" }] });
    rig.raw.behave(answerOf(200, body));
    const answer = await rig.send("/v1/images/generations", { model, prompt: "x", stream: true });
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).to.deep.equal([200, "application/json", body]);
    expect(await rig.bill()).to.deep.include({ charged: 2_000_000n, status: "ok", units: { images: 1 } });
  });

  it("that come whole but empty are asked for as a stream of the next provider", async () => {
    const model = await rig.relay.model([rig.raw.url, rig.upstream.url], IMAGE_PRICE);
    rig.raw.behave(answerOf(200, JSON.stringify({ created: 1, data: [] })));
    const answer = await rig.send("/v1/images/generations", { model, prompt: "a toll booth", stream: true });
    expect(answer.headers.get("content-type")).to.match(/^text\/event-stream/);
    expect(await answer.text()).to.include("image_generation.completed");
    expect(await rig.bill()).to.deep.include({ charged: 2_000_000n, status: "ok", units: { images: 1 } });
  });

  it("stream to the official client, previews first", async () => {
    const model = await rig.model(IMAGE_PRICE);
    const types: string[] = [];
    const stream = await rig
      .client()
      .images.generate({ model, prompt: "a toll booth", stream: true, partial_images: 2, size: "256x256" as "auto" });
    for await (const one of stream) types.push(one.type);
    expect(types).to.deep.equal(["image_generation.partial_image", "image_generation.partial_image", "image_generation.completed"]);
    expect(await rig.bill()).to.deep.include({ charged: 2_000_000n, units: { images: 1 } });
  });

  it("several in one stream end with the last, and their usage adds up", async () => {
    const model = await rig.model({ raw: true });
    const events = [
      event("image_generation.partial_image"),
      event("image_generation.completed", { usage: TOKENS }),
      event("image_generation.completed", { usage: TOKENS }),
    ];
    rig.raw.behave(streamOf(...events));
    const answer = await rig.send("/v1/images/generations", { model, prompt: "x", n: 2, stream: true });
    expect(await answer.text()).to.equal(events.join(""));
    expect(await rig.bill()).to.deep.include({ charged: 2n * 93_000_000n, tokens: [3000, 1600] });
  });

  it("a stream that breaks off is free and ends with an error", async () => {
    const model = await rig.model({ raw: true, ...IMAGE_PRICE });
    for (const last of [[], [event("error", { error: { message: "It broke" } })], [event("image_generation.failed")]]) {
      rig.raw.behave(streamOf(event("image_generation.partial_image"), ...last));
      const answer = await (await rig.send("/v1/images/generations", { model, prompt: "x", stream: true })).text();
      expect(answer).to.match(/\n\ndata: \{"error":\{.*"code":"upstream_error"\}.*\n\n$/);
    }
    expect(await rig.bill()).to.include({ charged: 0n, status: "failed" });
  });

  it("no pictures are no answer", async () => {
    const model = await rig.model({ raw: true, ...IMAGE_PRICE });
    for (const body of [
      '{"created":1,"data":[]}',
      '{"created":1}',
      '{"error":{"message":"no"}}',
      `{"created":1,"data":[${"1,".repeat(600_000)}1]}`,
    ]) {
      rig.raw.behave(answerOf(200, body));
      expect((await rig.send("/v1/images/generations", { model, prompt: "x" })).status).to.equal(502);
    }
    expect(await rig.bill()).to.include({ charged: 0n, status: "failed" });
  });

  it("are not begun when the wallet does not cover all that were asked for", async () => {
    const poor = await rig.relay.customer({ credits: "5" });
    const model = await rig.model(IMAGE_PRICE);
    const ask = (n: number) =>
      rig
        .client(poor.key)
        .images.generate({ model, prompt: "x", n, size: "256x256" })
        .catch((error: unknown) => error);
    expect(await ask(3)).to.include({ status: 402 });
    expect(await ask(2))
      .to.have.property("data")
      .that.has.length(2);
  });

  it("from pictures go on as a form written anew", async () => {
    const model = await rig.model(IMAGE_PRICE);
    const answer = await rig
      .client()
      .images.edit({ model, prompt: "a gate", image: [await png(), await png()], mask: await png(), n: 2, size: "256x256" });
    expect(answer.data).to.have.length(2);
    expect(await rig.bill()).to.deep.include({ charged: 4_000_000n, units: { images: 2 } });
    const call = (await rig.upstream.calls("a gate")).at(-1) as unknown as { body: { files: { name: string }[] } };
    expect(call.body).to.deep.include({ model: "upstream-model", prompt: "a gate", n: "2", size: "256x256" });
    expect(call.body.files.map((file) => ({ ...file, sha256: "" }))).to.have.deep.members(
      ["image", "image", "mask"].map((field) => ({ field, name: 'a "toll"\r\n.png', type: "image/png", bytes: 10, sha256: "" })),
    );
    const stream = await rig.client().images.edit({ model, prompt: "a gate", image: await png(), stream: true, size: "256x256" });
    const types: string[] = [];
    for await (const one of stream) types.push(one.type);
    expect(types).to.deep.equal(["image_edit.completed"]);
    expect((await rig.bill()).charged).to.equal(6_000_000n);
  });

  it("from pictures by address go on as JSON", async () => {
    const model = await rig.model({ raw: true, ...IMAGE_PRICE });
    rig.raw.behave(answerOf(200, JSON.stringify({ created: 1, data: [{ b64_json: "QUJD" }] })));
    const body = { prompt: "a gate", images: [{ image_url: "data:image/png;base64,QUJD" }] };
    expect((await rig.send("/v1/images/edits", { model, ...body })).status).to.equal(200);
    expect(rig.raw.requests[0]!.body).to.deep.equal({ model: "upstream-model", ...body });
    expect((await rig.bill()).charged).to.equal(2_000_000n);
  });

  it("a model that has no price for pictures or tokens is refused", async () => {
    const model = await rig.model({ input: "0", output: "0", prices: { second_price: "1" } });
    const refused = await rig.send("/v1/images/generations", { model, prompt: "x" });
    expect(refused.status).to.equal(503);
    expect(refused.headers.get("x-should-retry")).to.equal("false");
    expect(await refused.json()).to.have.nested.property("error.code", "model_not_priced");
  });

  for (const [param, body] of [
    ["prompt", {}],
    ["prompt", { prompt: "" }],
    ["prompt", { prompt: "x".repeat(32_001) }],
    ["n", { prompt: "x", n: 11 }],
    ["size", { prompt: "x", size: "large" }],
    ["response_format", { prompt: "x", response_format: "gif" }],
    ["partial_images", { prompt: "x", partial_images: 4 }],
    ["stream", { prompt: "x", stream: "yes" }],
  ] as const) {
    it(`are refused with the name of the field: ${param} in ${JSON.stringify(body).slice(0, 60)}`, async () => {
      const model = await rig.model();
      const refused = await rig.send("/v1/images/generations", { model, ...body });
      expect(refused.status).to.equal(400);
      expect(await refused.json()).to.have.nested.property("error.param", param);
    });
  }

  for (const [param, body] of [
    ["images", { prompt: "x" }],
    ["images[0].file_id", { prompt: "x", images: [{ file_id: "file-1" }] }],
    ["images[0].image_url", { prompt: "x", images: [{}] }],
    ["mask.file_id", { prompt: "x", images: [{ image_url: "https://x.invalid" }], mask: { file_id: "file-1" } }],
  ] as const) {
    it(`to change are refused with the name of the field: ${param} in ${JSON.stringify(body)}`, async () => {
      const model = await rig.model();
      const refused = await rig.send("/v1/images/edits", { model, ...body });
      expect(refused.status).to.equal(400);
      expect(await refused.json()).to.have.nested.property("error.param", param);
    });
  }
});
