import { expect } from "chai";
import { readRequest } from "../../../src/gateway/formats/openai-chat/read.ts";
import { newBudget, type Tokenizer } from "../../../src/gateway/tokens/index.ts";
import { USUAL_MODEL } from "../../support/models.ts";
import { mp4, pdf } from "../../support/pictures.ts";
import { dialectOf, sentTo } from "./dialects.ts";

const good = { model: "m", messages: [{ role: "user", content: "hello there" }] };
const letters: Tokenizer = { ready: Promise.resolve(), count: (text) => text.length };

function request(body: object) {
  const read = readRequest(body);
  if (!read.ok) throw new Error(read.failure.message);
  return read.request;
}
const sent = (body: object, cap?: number): Record<string, unknown> => sentTo(request(body), "openai", cap);

describe("a chat request", () => {
  for (const [param, body] of [
    ["body", []],
    ["body", null],
    ["body", "text"],
    ["model", { messages: good.messages }],
    ["model", { ...good, model: 5 }],
    ["model", { ...good, model: "" }],
    ["model", { ...good, model: "x".repeat(201) }],
    ["messages", { model: "m" }],
    ["messages", { model: "m", messages: [] }],
    ["messages", { model: "m", messages: "hi" }],
    ["messages[0]", { model: "m", messages: ["hi"] }],
    ["messages[0].role", { model: "m", messages: [{ role: "boss", content: "x" }] }],
    ["messages[0].content", { model: "m", messages: [{ role: "user" }] }],
    ["messages[0].content", { model: "m", messages: [{ role: "user", content: 5 }] }],
    ["messages[0].content[0].text", { model: "m", messages: [{ role: "user", content: [{ type: "text" }] }] }],
    ["messages[0].content[0].type", { model: "m", messages: [{ role: "user", content: [{ type: "input_audio", input_audio: {} }] }] }],
    [
      "messages[0].content[0].file.file_id",
      { model: "m", messages: [{ role: "user", content: [{ type: "file", file: { file_id: "file-1" } }] }] },
    ],
    ["max_tokens", { ...good, max_tokens: -1 }],
    ["max_tokens", { ...good, max_tokens: 1e30 }],
    ["max_tokens", { ...good, max_tokens: "5" }],
    ["max_completion_tokens", { ...good, max_completion_tokens: 0 }],
    ["n", { ...good, n: 0 }],
    ["n", { ...good, n: 1.5 }],
    ["stream", { ...good, stream: "yes" }],
    ["stream_options", { ...good, stream: true, stream_options: { include_usage: "yes" } }],
    ["temperature", { ...good, temperature: 1e30 }],
    ["tools", { ...good, tools: {} }],
    [
      "tools[1].type",
      {
        ...good,
        tools: [
          { type: "function", function: { name: "f" } },
          { type: "web_search", web_search: {} },
        ],
      },
    ],
    ["tools[0].function", { ...good, tools: [{ googleSearch: {} }] }],
    ["tools[0].googleSearch", { ...good, tools: [{ function: { name: "f" }, googleSearch: {} }] }],
    ["web_search", { ...good, web_search: { enable: true } }],
    ["enable_enhancement", { ...good, enable_enhancement: true }],
    ["deferred", { ...good, deferred: true }],
    [
      "messages[0].content[0].type",
      { model: "m", messages: [{ role: "user", content: [{ type: "audio_url", audio_url: { url: "x" } }] }] },
    ],
    // Some upstreams read names without regard to case.
    ["Model", { ...good, Model: "dear" }],
    ["N", { ...good, N: 50 }],
    ["Max_Tokens", { ...good, max_tokens: 10, Max_Tokens: 99_999 }],
    ["Service_Tier", { ...good, Service_Tier: "priority" }],
    ["\u017ftream", { ...good, "\u017ftream": true }],
    ["Brand_new", { ...good, brand_new: 1, Brand_new: 2 }],
    ["search_parameters", { ...good, search_parameters: { mode: "on" } }],
    ["enable_search", { ...good, enable_search: true }],
    ["stop", { ...good, stop: 5 }],
    ["modalities", { ...good, modalities: ["text", "audio"] }],
    ["web_search_options", { ...good, web_search_options: {} }],
    ["models", { ...good, models: ["dear"] }],
    ["route", { ...good, route: "fallback" }],
    ["plugins", { ...good, plugins: [{ id: "web" }] }],
    ["provider", { ...good, provider: { order: ["dear"] } }],
    ["service_tier", { ...good, service_tier: "priority" }],
  ] as const) {
    it(`is refused with the name of the field: ${param} in ${JSON.stringify(body)?.slice(0, 80)}`, () => {
      const read = readRequest(body);
      expect(read.ok).to.equal(false);
      if (!read.ok) expect(read.failure).to.include({ status: 400, param });
    });
  }

  it("may bring fields in any letters that nobody knows", () => {
    expect(sent({ ...good, topA: 0.5, "x-Note": "y" })).to.include({ topA: 0.5, "x-Note": "y" });
  });

  it("is held for with everything that a vendor may put into the prompt", () => {
    const counted = (body: object) => {
      const count = request(body).countPrompt(letters, newBudget(), USUAL_MODEL);
      return typeof count === "number" ? { tokens: count, unseen: 0 } : count;
    };
    const bare = counted(good).tokens;
    expect(counted({ ...good, documents: ["x".repeat(100_000)] }).tokens).to.be.within(bare + 25_000, bare + 25_010);
    expect(counted({ ...good, chat_template: "x".repeat(4_000) }).tokens).to.be.within(bare + 1_000, bare + 1_010);
    expect(counted({ ...good, seed: 5, user: "u", metadata: { a: "x".repeat(1_000) } }).tokens).to.equal(bare);
    const linked = counted({
      model: "m",
      messages: [{ role: "user", content: [{ type: "document_url", document_url: "https://example.com/a.pdf" }] }],
    });
    expect(linked.tokens + linked.unseen).to.be.at.least(200_000);
  });

  it("may leave known fields null and bring unknown ones", () => {
    expect(sent({ ...good, temperature: null, n: null, max_tokens: null, brand_new: { a: 1 } })).to.deep.include({
      brand_new: { a: 1 },
      model: "up",
    });
  });

  it("is written anew, so that a doubled key cannot name another model upstream", () => {
    const read = readRequest(JSON.parse('{"model":"dear","model":"cheap","messages":[{"role":"user","content":"x"}]}'));
    if (!read.ok) throw new Error("refused");
    expect(read.request.model).to.equal("cheap");
    expect(dialectOf(read.request, "openai").encode("up-cheap", undefined).body.toString()).to.not.contain("dear");
  });

  it("always asks for usage in a stream, and leaves the other options alone", () => {
    expect(
      sent({ ...good, stream: true, stream_options: { include_usage: false, include_obfuscation: false } })["stream_options"],
    ).to.deep.equal({ include_usage: true, include_obfuscation: false });
    expect(sent({ ...good, stream: true })["stream_options"]).to.deep.equal({ include_usage: true });
    expect(sent({ ...good, stream_options: { include_usage: true } })).to.not.have.property("stream_options");
  });

  it("is lowered under the name the client used", () => {
    expect(sent({ ...good, max_tokens: 50 }, 20)).to.include({ max_tokens: 20 });
    expect(sent({ ...good, max_completion_tokens: 50 }, 20))
      .to.include({ max_completion_tokens: 20 })
      .and.not.have.property("max_tokens");
    expect(sent(good, 20)).to.include({ max_tokens: 20 });
    expect(sent({ ...good, max_completion_tokens: null }, 20))
      .to.include({ max_completion_tokens: 20 })
      .and.not.have.property("max_tokens");
    expect(sent(good)).to.not.have.property("max_tokens");
  });

  it("that names two caps is priced and sent with the newer one", () => {
    const both = { ...good, max_tokens: 900, max_completion_tokens: 50 };
    expect(request(both).outputCap).to.equal(50);
    expect(sent(both)).to.include({ max_tokens: 50, max_completion_tokens: 50 });
  });

  it("asks for a whole answer unless it says otherwise, at the older path for a stream", () => {
    expect(request(good).answer).to.equal("whole");
    const older = readRequest(good, { streams: true });
    expect(older.ok && older.request.answer).to.equal("stream");
    const whole = readRequest({ ...good, stream: false }, { streams: true });
    expect(whole.ok && whole.request.answer).to.equal("whole");
    if (older.ok) expect(sentTo(older.request, "openai")).to.include({ stream: true });
  });

  it("is counted with tools and schemas, what is attached by the model's rules, never by its base64", () => {
    const count = (body: object) => request(body).countPrompt(letters, newBudget(), USUAL_MODEL);
    const plain = 3 + 4 + "hello there".length;
    expect(count(good)).to.equal(plain);
    const tools = [{ type: "function", function: { name: "f" } }];
    expect(count({ ...good, tools })).to.equal(plain + JSON.stringify(tools).length);
    const parts = (...content: object[]) => count({ model: "m", messages: [{ role: "user", content }] });
    const url = `data:image/png;base64,${"A".repeat(100_000)}`;
    expect(parts({ type: "image_url", image_url: { url } })).to.deep.equal({ tokens: 3 + 4 + 1_600, unseen: 3_400 });
    const document = `data:application/pdf;base64,${pdf(3).toString("base64")}`;
    expect(parts({ type: "file", file: { file_data: document } })).to.deep.equal({ tokens: 3 + 4 + 9_000, unseen: 5_400 });
    const video = { type: "video_url", video_url: { url: `data:video/mp4;base64,${mp4(10).toString("base64")}` } };
    expect(parts(video)).to.deep.equal({ tokens: 3 + 4 + 8_000, unseen: 0 });
    const prediction = { type: "content", content: "a predicted answer" };
    expect(count({ ...good, prediction })).to.deep.equal({ tokens: plain, unseen: 0, besideAnswer: 18 });
    const inParts = {
      type: "content",
      content: [
        { type: "text", text: "four" },
        { type: "text", text: "five" },
      ],
    };
    expect(count({ ...good, prediction: inParts })).to.deep.equal({ tokens: plain, unseen: 0, besideAnswer: 8 });
    expect(parts({ type: "video", video: [url, url] })).to.deep.equal({ tokens: 3 + 4 + 3_200, unseen: 6_800 });
  });
});
