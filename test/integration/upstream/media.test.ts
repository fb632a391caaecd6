import { expect } from "chai";
import OpenAI, { toFile } from "openai";
import { dimensionsOf } from "../../../dev/upstream/content/pictures.ts";
import { startUpstream } from "../../support/upstream.ts";

const THREE_SECONDS = Buffer.alloc(48_000, 1);

describe("the demo upstream's pictures and sound", () => {
  let upstream: Awaited<ReturnType<typeof startUpstream>>;
  let client: OpenAI;

  before(async () => {
    upstream = await startUpstream();
    client = new OpenAI({ apiKey: "k", baseURL: `${upstream.url}/v1`, maxRetries: 0 });
  });
  after(() => upstream?.close());

  const refusal = async (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => undefined,
      (error: unknown) => error,
    );
  const audio = async () => toFile(THREE_SECONDS, "speech.mp3", { type: "audio/mpeg" });

  it("pictures: of the size asked for, as many as asked for, with tokens for new models and none for old", async () => {
    const made = await client.images.generate({ model: "gpt-image-1", prompt: "A bridge", n: 2, size: "1536x1024", quality: "low" });
    expect(made.data!.map(({ b64_json: data }) => dimensionsOf(Buffer.from(data!, "base64")))).to.deep.equal([
      { width: 1536, height: 1024 },
      { width: 1536, height: 1024 },
    ]);
    expect(made.usage).to.include({ output_tokens: 2 * 408, total_tokens: 2 * 408 + made.usage!.input_tokens });
    const old = await client.images.generate({ model: "dall-e-3", prompt: "A bridge" });
    expect([old.usage, old.data![0]!.b64_json]).to.deep.equal([undefined, undefined]);
    expect(old.data![0]!.url).to.be.a("string");
    expect(await refusal(client.images.generate({ model: "gpt-image-1", prompt: "A bridge", n: 11 }))).to.include({
      status: 400,
      param: "n",
    });
  });

  it("pictures: drawn in steps", async () => {
    const stream = await client.images.generate({ model: "gpt-image-1", prompt: "A bridge", stream: true, partial_images: 2 });
    const events: OpenAI.Images.ImageGenStreamEvent[] = [];
    for await (const event of stream) events.push(event);
    expect(events.map((event) => event.type)).to.deep.equal([
      "image_generation.partial_image",
      "image_generation.partial_image",
      "image_generation.completed",
    ]);
    expect(events.at(-1)).to.have.nested.property("usage.output_tokens", 1_056 + 200);
  });

  it("pictures: made from others, which count as input", async () => {
    const image = await toFile(
      Buffer.from((await client.images.generate({ model: "gpt-image-1", prompt: "x" })).data![0]!.b64_json!, "base64"),
      "a.png",
      { type: "image/png" },
    );
    const edited = await client.images.edit({ model: "gpt-image-1", prompt: "Add a river", image: [image, image] });
    expect(edited.usage!.input_tokens_details.image_tokens).to.equal(2 * 765);
    const [call] = await upstream.calls("Add a river");
    expect(call!.body).to.have.nested.property("files").with.length(2);
  });

  it("speech: sound of the declared format, in parts", async () => {
    const ask = { model: "tts-1", voice: "alloy", input: "The toll is three pence. [[chunks:5]]" } as const;
    const mp3 = await client.audio.speech.create(ask);
    expect(mp3.headers.get("content-type")).to.equal("audio/mpeg");
    expect(Buffer.from(await mp3.arrayBuffer()).readUInt16BE(0)).to.equal(0xfffb);
    expect((await upstream.calls("three pence")).at(-1)).to.include({ chunks: 5, aborted: false });
    const wav = Buffer.from(await (await client.audio.speech.create({ ...ask, response_format: "wav" })).arrayBuffer());
    expect([wav.toString("latin1", 0, 4), wav.readUInt32LE(40)]).to.deep.equal(["RIFF", wav.length - 44]);
    const cut = await client.audio.speech.create({ ...ask, input: "The toll. [[chunks:5]] [[fault:die_mid_stream]]" });
    expect(await refusal(cut.arrayBuffer())).to.be.instanceOf(Error);
    expect(await refusal(client.audio.speech.create({ ...ask, stream_format: "sse" }))).to.include({ status: 400 });
  });

  it("speech: as events with tokens", async () => {
    const said = await client.audio.speech.create({
      model: "gpt-4o-mini-tts",
      voice: "alloy",
      input: "The toll is three pence.",
      stream_format: "sse",
    });
    const events = [...(await said.text()).matchAll(/^data: (.*)$/gm)].map(
      ([, data]) => JSON.parse(data!) as { type: string; usage?: object },
    );
    expect(events[0]!.type).to.equal("speech.audio.delta");
    expect(events.at(-1)).to.deep.include({ type: "speech.audio.done" });
    expect(events.at(-1)!.usage).to.have.all.keys("input_tokens", "output_tokens", "total_tokens");
  });

  it("transcripts: text, subtitles and details, counted in tokens or seconds", async () => {
    const newer = await client.audio.transcriptions.create({ model: "gpt-4o-transcribe", file: await audio() });
    expect(newer.usage).to.deep.include({ type: "tokens", input_tokens: 30 });
    const whisper = async (format: "json" | "verbose_json" | "text" | "srt" | "vtt") =>
      client.audio.transcriptions.create({ model: "whisper-1", file: await audio(), response_format: format }) as Promise<unknown>;
    expect(await whisper("json")).to.have.deep.property("usage", { type: "duration", seconds: 3 });
    expect(await whisper("verbose_json")).to.include({ duration: 3, task: "transcribe" });
    expect(await whisper("text")).to.be.a("string");
    expect(await whisper("srt")).to.match(/^1\n00:00:00,000 --> 00:00:0/);
    expect(await whisper("vtt")).to.match(/^WEBVTT\n\n00:00:00\.000 --> /);
    const told = await client.audio.transcriptions.create({ model: "whisper-1", file: await audio(), prompt: "[[seconds:61]]" });
    expect(told.usage).to.deep.equal({ type: "duration", seconds: 61 });
    expect(await client.audio.translations.create({ model: "whisper-1", file: await audio() })).to.have.all.keys("text");
    const empty = await toFile(Buffer.alloc(0), "empty.mp3");
    expect(await refusal(client.audio.transcriptions.create({ model: "whisper-1", file: empty }))).to.include({ status: 400 });
  });

  it("transcripts: as they are heard", async () => {
    let heard = "";
    let last: OpenAI.Audio.TranscriptionStreamEvent | undefined;
    for await (const event of await client.audio.transcriptions.create({ model: "gpt-4o-transcribe", file: await audio(), stream: true })) {
      if (event.type === "transcript.text.delta") heard += event.delta;
      last = event;
    }
    expect(last).to.deep.include({ type: "transcript.text.done", text: heard });
    expect(last).to.have.nested.property("usage.type", "tokens");
  });
});
