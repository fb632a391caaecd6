import { createHash } from "node:crypto";
import { expect } from "chai";
import OpenAI from "openai";
import { tokensOf } from "../../../dev/upstream/content/tokens.ts";
import { rawCall, type RawAnswer } from "../../support/rawCall.ts";
import { startUpstream } from "../../support/upstream.ts";
import { waitFor } from "../../support/waitFor.ts";

interface Chunk {
  choices: { delta?: { content?: string }; message?: { content: string }; finish_reason: string | null; index: number }[];
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number } | null;
  error?: { message: string };
}

describe("the demo upstream", () => {
  let upstream: Awaited<ReturnType<typeof startUpstream>>;
  let url: string;

  before(async () => {
    upstream = await startUpstream();
    url = upstream.url;
  });
  after(() => upstream?.close());

  /** One raw call; `leave` closes the connection as soon as it is true. */
  const send = (content: string, more: Record<string, unknown> = {}, leave?: (text: string) => boolean): Promise<RawAnswer> =>
    rawCall(`${url}/v1/chat/completions`, {
      headers: { authorization: "Bearer k", "content-type": "application/json" },
      body: JSON.stringify({ model: "demo-chat", messages: [{ role: "user", content }], ...more }),
      ...(leave ? { leave } : {}),
    });
  const stream = (content: string, more = {}) => send(content, { stream: true, ...more });
  const dataOf = (received: RawAnswer) =>
    received.text
      .split(/\r?\n\r?\n/)
      .filter((event) => event.startsWith("data: "))
      .map((event) => event.slice(6));
  const chunksOf = (received: RawAnswer) =>
    dataOf(received)
      .filter((data) => data !== "[DONE]")
      .map((data) => JSON.parse(data) as Chunk);
  const textIn = (received: RawAnswer) =>
    chunksOf(received)
      .map((chunk) => chunk.choices[0]?.delta?.content ?? "")
      .join("");
  const usageIn = (received: RawAnswer) => chunksOf(received).map((chunk) => chunk.usage);

  it("speaks to the official client, streaming and not, with true token counts", async () => {
    const client = new OpenAI({ apiKey: "k", baseURL: `${url}/v1`, maxRetries: 0 });
    const messages = [{ role: "user" as const, content: "What does a toll keeper do?" }];
    const whole = await client.chat.completions.create({ model: "demo-chat", messages });
    const text = whole.choices[0]!.message.content!;
    expect(text).to.match(/toll|keeper/i);
    expect(whole.usage).to.include({ prompt_tokens: 3 + 3 + 1 + tokensOf(messages[0]!.content), completion_tokens: tokensOf(text) });
    let streamed = "";
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of await client.chat.completions.create({
      model: "demo-chat",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    })) {
      streamed += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage;
    }
    expect(streamed).to.equal(text);
    expect(usage).to.deep.equal(whole.usage);
  });

  it("sends usage in a stream only when it is asked for, in a chunk of its own", async () => {
    const unasked = await stream("Hello [[chunks:3]]");
    expect(usageIn(unasked)).to.deep.equal([undefined, undefined, undefined, undefined, undefined]);
    const asked = usageIn(await stream("Hello [[chunks:3]] [[usage:1500,800]]", { stream_options: { include_usage: true } }));
    expect(asked.slice(0, -1)).to.deep.equal([null, null, null, null, null]);
    expect(asked.at(-1)).to.include({ prompt_tokens: 1500, completion_tokens: 800, total_tokens: 2300 });
  });

  it("stops at the caller's cap and says so", async () => {
    const answer = JSON.parse((await send("Tell me of bridges", { max_tokens: 5 })).text) as Chunk;
    expect(answer.choices[0]).to.include({ finish_reason: "length" });
    expect(answer.usage!.completion_tokens).to.be.at.most(5);
  });

  it("answers with a tool call, and with several choices, when told", async () => {
    const client = new OpenAI({ apiKey: "k", baseURL: `${url}/v1`, maxRetries: 0 });
    const messages = [{ role: "user" as const, content: "Weather? [[tool:get_weather]]" }];
    const final = await client.chat.completions.stream({ model: "demo-chat", messages }).finalChatCompletion();
    const [call] = final.choices[0]!.message.tool_calls!;
    expect(call).to.have.nested.property("function.name", "get_weather");
    expect(call).to.have.nested.property("function.arguments", '{"city":"Paris","unit":"celsius"}');
    expect(
      new Set(chunksOf(await stream("Hi [[chunks:2]]", { n: 3 })).flatMap((chunk) => chunk.choices.map((choice) => choice.index))),
    ).to.have.length(3);
  });

  it("fails before the first byte: error status, dead socket, redirect, page", async () => {
    const limited = await stream("[[fault:status code=429 retry_after=7]]");
    expect([limited.status, limited.headers["retry-after"]]).to.deep.equal([429, "7"]);
    expect(JSON.parse(limited.text)).to.have.nested.property("error.code", "rate_limit_exceeded");
    expect(await stream("[[fault:dead]]")).to.include({ status: 0, broken: true });
    expect((await stream("[[fault:redirect to=http://127.0.0.1:1/]]")).status).to.equal(302);
    expect(await stream("[[fault:html_page]]"))
      .to.deep.include({ status: 200 })
      .and.have.nested.property("headers.content-type")
      .that.contains("html");
    expect(await stream("[[fault:html_page code=502]]")).to.include({ status: 502 });
    expect(await stream("[[fault:die_after_headers]]")).to.include({ status: 200, text: "", broken: true });
  });

  it("fails in the middle: dead, in-band error, no terminal event, bad JSON", async () => {
    const dead = await stream("Hello [[fault:die_mid_stream after=2]] [[chunks:9]]");
    expect([dead.broken, chunksOf(dead).length]).to.deep.equal([true, 3]);
    const inBand = await stream("Hello [[fault:error_in_band after=1]]");
    expect([inBand.broken, chunksOf(inBand).at(-1)!.error!.message]).to.deep.equal([false, "The demo upstream is overloaded."]);
    const cut = await stream("Hello [[fault:no_terminal]]");
    expect([cut.broken, cut.text.includes("[DONE]"), chunksOf(cut).some((chunk) => chunk.choices[0]?.finish_reason)]).to.deep.equal([
      false,
      false,
      false,
    ]);
    const broken = await stream("Hello [[fault:bad_json]]");
    expect(() => chunksOf(broken)).to.throw(SyntaxError);
    expect(broken.text).to.contain("[DONE]");
  });

  it("fails in a whole answer: half a body, bad JSON, a length that lies", async () => {
    expect(await send("[[fault:die_mid_stream]]")).to.include({ status: 200, broken: true });
    const cut = await send("[[fault:bad_json]]");
    expect(cut.status).to.equal(200);
    expect(() => JSON.parse(cut.text) as unknown).to.throw(SyntaxError);
    expect(await send("[[fault:content_length_lie]]")).to.include({ status: 200, broken: true });
  });
  it("counts in every odd way", async () => {
    const ask = { stream_options: { include_usage: true } };
    expect(usageIn(await stream("[[fault:no_usage]]", ask)).filter(Boolean)).to.deep.equal([]);
    expect(usageIn(await stream("[[fault:zero_usage]]", ask)).at(-1)).to.include({ prompt_tokens: 0, completion_tokens: 0 });
    expect(usageIn(await stream("[[fault:huge_usage tokens=5000000]]", ask)).at(-1)).to.include({ completion_tokens: 5_000_000 });
    expect(usageIn(await stream("[[fault:bad_usage kind=text]]", ask)).at(-1)).to.include({ completion_tokens: "many" });
    const every = usageIn(await stream("[[fault:usage_every_chunk]] [[usage:10,100]] [[chunks:4]]"));
    expect(every.filter(Boolean).map((usage) => usage!.completion_tokens)).to.deep.equal([25, 50, 75, 100, 100]);
    const last = await stream("[[fault:usage_last_chunk_no_done]] [[usage:10,20]] [[chunks:2]]");
    expect(chunksOf(last).at(-1)).to.have.nested.property("usage.completion_tokens", 20);
    expect([chunksOf(last).at(-1)!.choices[0]!.finish_reason, last.text.includes("[DONE]")]).to.deep.equal(["stop", false]);
    const undone = await stream("[[fault:no_done]]", ask);
    expect([undone.text.includes("[DONE]"), Boolean(usageIn(undone).at(-1))]).to.deep.equal([false, true]);
  });

  it("sends events large, tiny, cut, slow and odd, with the text intact", async () => {
    expect(textIn(await stream("[[fault:big_event]]")).length).to.be.greaterThan(1_048_576);
    expect(chunksOf(await stream("[[fault:tiny_events]]")).length).to.equal(10_002);
    const split = await stream("[[fault:split_utf8]] [[chunks:20]]");
    expect(textIn(split))
      .to.match(/汉字.*👩‍💻/s)
      .and.not.contain("\uFFFD");
    expect(split.pieces.some((piece) => piece.toString("utf8").includes("\uFFFD"))).to.equal(true);
    const slow = await stream("[[fault:trickle bytes=40 every=1ms]] [[chunks:2]]");
    expect(slow.pieces.length).to.be.greaterThan(10);
    expect((await stream("[[fault:crlf]] [[fault:comments]]")).text).to.match(/^: a comment\r\n\r\ndata: /);
    expect((await stream("[[fault:unknown_fields]]")).text).to.contain("x_strange");
  });

  it("tells what it received, without secrets, and whether the caller left", async () => {
    await send("Hello receiver-1");
    const [seen] = await upstream.calls("receiver-1");
    expect(seen).to.deep.include({ status: 200, aborted: false, ended: true });
    expect(seen!.headers["authorization"]).to.equal(`sha256:${createHash("sha256").update("k").digest("hex")}`);

    await send("[[fault:silent after=2]] [[chunks:9]] receiver-2", { stream: true }, (text) => text.split("data: ").length > 3);
    const left = await waitFor(async () => (await upstream.calls("receiver-2")).find((call) => call.ended), { message: "the call to end" });
    expect(left).to.include({ aborted: true, chunks: 2 });
    await stream("[[fault:die_mid_stream]] receiver-3");
    expect((await upstream.calls("receiver-3"))[0]).to.include({ aborted: false, ended: true });
  });

  it("hangs until the caller gives up", async () => {
    for (const fault of ["hang", "hang_after_headers"]) {
      const asked = fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: "Bearer k" },
        body: JSON.stringify({ model: "demo-chat", stream: true, messages: [{ role: "user", content: `[[fault:${fault}]] waiting` }] }),
        signal: AbortSignal.timeout(150),
      });
      expect(await asked.then((response) => response.text()).catch((error: Error) => error.name)).to.equal("TimeoutError");
      await waitFor(async () => (await upstream.calls(`fault:${fault}]]`)).every((call) => call.aborted), {
        message: "the abort to be noticed",
      });
    }
  });

  it("is told from outside what to do with the next calls", async () => {
    const control = (body: unknown) => fetch(`${url}/control`, { method: "POST", body: JSON.stringify(body) });
    expect((await control({ directives: "[[fault:status code=500]]", times: 1 })).status).to.equal(200);
    expect((await send("Hello")).status).to.equal(500);
    expect((await send("Hello")).status).to.equal(200);
    await control({ directives: "[[fault:status code=503]]" });
    expect((await send("Hello")).status).to.equal(503);
    await control({});
    expect((await send("Hello")).status).to.equal(200);
    for (const bad of [{ directives: "[[fault:typo]]" }, { fault: "hang" }, [], { times: -1 }])
      expect((await control(bad)).status).to.equal(400);
    expect((await send("[[fault:typo]]")).status).to.equal(400);
    expect((await send("Hello", { model: "demo-chat[[fault:status code=502]]" })).status).to.equal(502);
  });

  it("has fixed answers for benchmarks", async () => {
    const whole = JSON.parse((await send("x", { model: "demo-fast-50" })).text) as Chunk;
    expect(whole.usage).to.include({ completion_tokens: 50 });
    const fast = await stream("x", { model: "demo-fast-50", stream_options: { include_usage: true } });
    expect([chunksOf(fast).length, dataOf(fast).at(-1)]).to.deep.equal([53, "[DONE]"]);
  });

  it("wants a key, and the right one when it has one", async () => {
    const locked = await startUpstream({ key: "the-key" });
    const status = async (where: string, authorization?: string) =>
      (await fetch(`${where}/v1/models`, { headers: authorization ? { authorization } : {} })).status;
    expect(await status(url)).to.equal(401);
    expect(await status(url, "Bearer anything")).to.equal(200);
    expect(await status(locked.url, "Bearer anything")).to.equal(401);
    expect(await status(locked.url, "Bearer the-key")).to.equal(200);
    await locked.close();
  });
});
