import { expect } from "chai";
import { toFile } from "openai";
import { waitFor } from "../../../support/stack.ts";
import { mp3, wav } from "../../../support/sounds.ts";
import { answerOf, closed, LAST_PIECE, piece, streamOf } from "../rawUpstream.ts";
import { useOpenai } from "./rig.ts";

const FREE = { input: "0", output: "0" };

describe("speech", () => {
  const rig = useOpenai();
  const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n";

  it("passes to the official client and is charged by the character", async () => {
    const model = await rig.model({ ...FREE, prices: { character_price: "0.01" } });
    // Code points, not code units: 7 of them.
    const answer = await rig.client().audio.speech.create({ model, input: "Toll 🚧!", voice: "alloy", response_format: "wav" });
    expect(answer.headers.get("content-type")).to.equal("audio/wav");
    expect((await answer.arrayBuffer()).byteLength).to.be.greaterThan(1_000);
    expect(await rig.bill()).to.deep.include({ charged: 70_000n, status: "ok", estimated: false, units: { characters: 7 } });
  });

  it("passes chunk by chunk, each when the next has come", async () => {
    const model = await rig.model({ raw: true, ...FREE, prices: { character_price: "1" } });
    let speak = (): void => undefined;
    const wait = new Promise<void>((resolve) => (speak = resolve));
    rig.raw.behave(async (socket) => {
      socket.write(Buffer.concat([Buffer.from(HEAD), piece("one"), piece("two")]));
      await wait;
      socket.write(Buffer.concat([piece("three"), LAST_PIECE]));
    });
    const answer = await rig.send("/v1/audio/speech", { model, input: "Hello", voice: "alloy" });
    let said = "";
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      said += chunk;
      speak();
    }
    expect(said).to.equal("onetwothree");
    expect((await rig.bill()).charged).to.equal(5_000_000n);
  });

  it("that breaks off is free, and the client's connection is broken too", async () => {
    const model = await rig.model({ raw: true, ...FREE, prices: { character_price: "1" } });
    rig.raw.behave((socket) => void socket.end(Buffer.concat([Buffer.from(HEAD), piece("one"), piece("two"), piece("three")])));
    const broken = await rig
      .send("/v1/audio/speech", { model, input: "Hello", voice: "alloy" })
      .then((answer) => answer.text())
      .catch((error: unknown) => error);
    expect(broken).to.be.instanceOf(TypeError);
    expect(await rig.bill()).to.include({ charged: 0n, status: "failed" });
  });

  it("a page, an error or nothing in place of sound is the provider's failure and free", async () => {
    const model = await rig.model({ raw: true, ...FREE, prices: { character_price: "1" } });
    for (const [body, headers] of [
      ["<html>", "content-type: text/html"],
      ['{"error":{}}', "content-type: application/json"],
      ["", "content-type: audio/mpeg"],
    ] as const) {
      rig.raw.behave(answerOf(200, body, headers));
      expect((await rig.send("/v1/audio/speech", { model, input: "Hello", voice: "alloy" })).status).to.equal(502);
    }
    expect(await rig.bill()).to.include({ charged: 0n, status: "failed" });
  });

  it("a client that leaves after the first sound pays for the text", async () => {
    const model = await rig.model({ raw: true, ...FREE, prices: { character_price: "1" } });
    rig.raw.behave((socket) => {
      socket.write(Buffer.from(HEAD));
      const timer = setInterval(() => socket.write(piece("sound")), 10);
      return closed(socket).finally(() => clearInterval(timer));
    });
    const controller = new AbortController();
    const answer = await rig.send("/v1/audio/speech", { model, input: "Hello", voice: "alloy" }, { signal: controller.signal });
    await answer.body!.getReader().read();
    controller.abort();
    expect(await rig.bill()).to.deep.include({ charged: 5_000_000n, status: "client_gone", units: { characters: 5 } });
    await waitFor(() => rig.raw.aborted === 1, { timeoutMs: 3_000, message: "the provider's socket to be closed" });
  });

  it("as events is charged by the tokens that the vendor counts", async () => {
    const model = await rig.model();
    const answer = await rig.send("/v1/audio/speech", { model, input: "Hello [[usage:1500,800]]", voice: "alloy", stream_format: "sse" });
    expect(await answer.text()).to.match(/"speech\.audio\.done"/);
    expect(await rig.bill()).to.deep.include({ charged: 93_000_000n, estimated: false });
    const raw = await rig.model({ raw: true });
    const events = [`data: {"type":"speech.audio.delta","audio":"${"QUJD".repeat(10_000)}"}\n\n`, 'data: {"type":"speech.audio.done"}\n\n'];
    rig.raw.behave(streamOf(...events));
    const bare = await rig.send("/v1/audio/speech", { model: raw, input: "Hello, traveller.", voice: "alloy", stream_format: "sse" });
    expect(await bare.text()).to.equal(events.join(""));
    // 4 tokens in; 17 letters are 1.13 seconds of 20.8 tokens.
    expect(await rig.bill()).to.deep.include({ estimated: true, tokens: [4, 24] });
  });

  for (const [param, body] of [
    ["input", {}],
    ["input", { input: "" }],
    ["speed", { input: "x", speed: 5 }],
    ["stream_format", { input: "x", stream_format: "ws" }],
    ["voice", { input: "x", voice: 5 }],
  ] as const) {
    it(`is refused with the name of the field: ${param} in ${JSON.stringify(body)}`, async () => {
      const refused = await rig.send("/v1/audio/speech", { model: "m", ...body });
      expect(refused.status).to.equal(400);
      expect(await refused.json()).to.have.nested.property("error.param", param);
    });
  }
});

describe("transcriptions", () => {
  const rig = useOpenai();
  const bySecond = { ...FREE, prices: { second_price: "0.1" } };
  const file = () => toFile(wav(12.4), "toll.wav", { type: "audio/wav" });

  it("answer the official client in every format and are charged by the second, begun ones as whole", async () => {
    const model = await rig.model(bySecond);
    await rig.relay.pool.query("UPDATE provider_models SET upstream_model = 'whisper-1' WHERE model_name = $1", [model]);
    await rig.relay.pool.query("SELECT pg_notify('tollkeeper_changed', 'provider:*')");
    await waitFor(
      async () => {
        await rig.client().audio.transcriptions.create({ model, file: await file() });
        return (await rig.upstream.calls("whisper-1")).length > 0;
      },
      { timeoutMs: 5_000, message: "the new name" },
    );
    const before = (await rig.bill()).charged;
    const text = async (response_format: "text" | "srt" | "vtt"): Promise<unknown> =>
      rig.client().audio.transcriptions.create({ model, file: await file(), response_format });
    expect((await rig.client().audio.transcriptions.create({ model, file: await file() })).text).to.not.equal("");
    expect(await text("text")).to.be.a("string");
    expect(await text("srt")).to.match(/^1\n00:00:00,000 --> /);
    expect(await text("vtt")).to.match(/^WEBVTT\n/);
    const verbose = await rig.client().audio.transcriptions.create({ model, file: await file(), response_format: "verbose_json" });
    expect(verbose.duration).to.be.closeTo(12.4, 0.1);
    expect(await rig.bill()).to.deep.include({ charged: before + 5n * 1_300_000n, estimated: false, units: { seconds: 13 } });
  });

  it("are charged by what the vendor counts, where it does: seconds or tokens", async () => {
    const model = await rig.model({ raw: true, ...bySecond });
    const ask = async (name: string) => rig.client().audio.transcriptions.create({ model: name, file: await file() });
    const answer = (usage: object) => rig.raw.behave(answerOf(200, JSON.stringify({ text: "Hello", usage })));
    answer({ type: "duration", seconds: 11 });
    await ask(model);
    expect(await rig.bill()).to.deep.include({ charged: 1_100_000n, estimated: false, units: { seconds: 11 } });
    const tokens = await rig.model({ raw: true });
    answer({ type: "tokens", input_tokens: 1500, input_token_details: { audio_tokens: 1500 }, output_tokens: 800, total_tokens: 2300 });
    await ask(tokens);
    expect(await rig.bill()).to.deep.include({ charged: 94_100_000n, estimated: false, tokens: [1500, 800] });
    // Priced by tokens, and only the time is said: 10 tokens a second in, the text out.
    answer({ type: "duration", seconds: 13 });
    await ask(tokens);
    expect(await rig.bill()).to.deep.include({ estimated: true, tokens: [130, 1] });
  });

  it("are of the file that was sent, not of one named beside it", async () => {
    const model = await rig.model({ raw: true, ...bySecond });
    for (const name of ["url", "file_url", "file_id"]) {
      const form = new FormData();
      form.set("model", model);
      form.set("file", new File([wav(1)], "toll.wav", { type: "audio/wav" }));
      form.set(name, "https://example.com/ten-hours.mp3");
      const refused = await fetch(`${rig.relay.url}/v1/audio/transcriptions`, {
        method: "POST",
        headers: { authorization: `Bearer ${rig.ada.key}` },
        body: form,
      });
      expect(refused.status).to.equal(400);
      expect(await refused.json()).to.have.nested.property("error.param", name);
    }
  });

  it("stream to the official client", async () => {
    const model = await rig.model();
    const types = new Set<string>();
    let text = "";
    for await (const event of await rig.client().audio.transcriptions.create({ model, file: await file(), stream: true })) {
      types.add(event.type);
      if (event.type === "transcript.text.delta") text += event.delta;
      if (event.type === "transcript.text.done") expect(event.text).to.equal(text);
    }
    expect([...types]).to.deep.equal(["transcript.text.delta", "transcript.text.done"]);
    expect(await rig.bill()).to.deep.include({ status: "ok", estimated: false, units: { seconds: 13 } });
  });

  it("a stream that breaks off is free and ends with an error", async () => {
    const model = await rig.model({ raw: true, ...bySecond });
    rig.raw.behave(streamOf('data: {"type":"transcript.text.delta","delta":"Hello"}\n\n'));
    const form = new FormData();
    form.set("model", model);
    form.set("stream", "true");
    form.set("file", new Blob([new Uint8Array(wav(1))]), "toll.wav");
    expect(await (await rig.send("/v1/audio/transcriptions", form)).text()).to.match(/"code":"upstream_error"\}.*\n\n$/);
    expect(await rig.bill()).to.include({ charged: 0n, status: "failed" });
  });

  it("translations are measured here, for the vendor does not count them", async () => {
    const model = await rig.model({ raw: true, ...bySecond });
    rig.raw.behave(answerOf(200, '{"text":"Hello"}'));
    const answer = await rig
      .client()
      .audio.translations.create({ model, file: await toFile(mp3(59.9), "toll.mp3", { type: "audio/mpeg" }) });
    expect(answer.text).to.equal("Hello");
    expect(rig.raw.requests[0]!.head).to.match(/^POST \/v1\/audio\/translations /);
    expect((await rig.bill()).charged).to.equal(6_000_000n);
  });

  it("hold for the length of the file", async () => {
    const poor = await rig.relay.customer({ credits: "1" });
    const model = await rig.model(bySecond);
    const ask = async (seconds: number) =>
      rig
        .client(poor.key)
        .audio.transcriptions.create({ model, file: await toFile(wav(seconds), "toll.wav") })
        .catch((error: unknown) => error);
    expect(await ask(11)).to.include({ status: 402 });
    expect(await ask(10)).to.have.property("text");
  });

  it("no transcript is no answer", async () => {
    const model = await rig.model({ raw: true, ...bySecond });
    for (const [format, body, headers] of [
      ["json", "{}", "content-type: application/json"],
      ["json", "<html>", "content-type: text/html"],
      ["text", "<html>", "content-type: text/html"],
      ["srt", '{"error":{"message":"no"}}', "content-type: application/json"],
    ] as const) {
      rig.raw.behave(answerOf(200, body, headers));
      const form = new FormData();
      form.set("model", model);
      form.set("response_format", format);
      form.set("file", new Blob([new Uint8Array(wav(1))]), "toll.wav");
      expect((await rig.send("/v1/audio/transcriptions", form)).status).to.equal(502);
    }
    expect(await rig.bill()).to.include({ charged: 0n, status: "failed" });
  });
});
