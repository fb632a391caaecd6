import Anthropic from "@anthropic-ai/sdk";
import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { billOf } from "./bill.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { answerOf, closed, piece, startRawUpstream, STREAM_HEAD, streamOf, type RawUpstream } from "./rawUpstream.ts";

const event = (type: string, fields: object = {}): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
const USED = { input_tokens: 1_500, output_tokens: 800, server_tool_use: { web_search_requests: 2, web_fetch_requests: 0 } };
const SEARCH = { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} };
const START = event("message_start", {
  message: { id: "msg_1", type: "message", role: "assistant", model: "m", content: [], usage: { input_tokens: 1_000, output_tokens: 1 } },
});
const SEARCHING = event("content_block_start", { index: 0, content_block: SEARCH }) + event("content_block_stop", { index: 0 });
const END = event("message_delta", { delta: { stop_reason: "end_turn" }, usage: USED }) + event("message_stop");
const WHOLE = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "m",
  content: [SEARCH, { type: "text", text: "Found." }],
  stop_reason: "end_turn",
  usage: USED,
};

describe("web searches of Anthropic's provider", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let priced: string;
  let unpriced: string;
  let ada: Customer;

  before(async () => {
    upstream = await startRawUpstream();
    relay = await startRelay(places, { HOLD_TTL: "30s" });
    priced = await relay.model([upstream.url], { apiFormat: "claude", prices: { web_search_price: "10" } });
    unpriced = await relay.model([upstream.url], { apiFormat: "claude" });
  });
  beforeEach(async () => {
    ada = await relay.customer();
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  const client = (key = ada.key): Anthropic => new Anthropic({ apiKey: key, baseURL: relay.url, maxRetries: 0 });
  const ask = (model: string, max_uses = 2): Anthropic.MessageCreateParamsNonStreaming => ({
    model,
    max_tokens: 900,
    messages: [{ role: "user", content: "What is new?" }],
    tools: [{ type: "web_search_20250305", name: "web_search", max_uses }],
  });
  const caught = (asking: PromiseLike<unknown>) => Promise.resolve(asking).catch((error: unknown) => error);

  it("are refused where they have no price, before anything is held", async () => {
    const before = upstream.requests.length;
    expect(await caught(client().messages.create(ask(unpriced))))
      .to.be.instanceOf(Anthropic.BadRequestError)
      .and.have.property("message")
      .that.contains("web search is not offered");
    expect(upstream.requests.length).to.equal(before);
    expect(await relay.balance(ada)).to.deep.equal({ total: "1000000000", held: "0" });
  });

  it("are charged one by one beside the tokens, streaming and not", async () => {
    upstream.behave(answerOf(200, JSON.stringify(WHOLE)));
    await client().messages.create(ask(priced));
    expect((await billOf(relay, ada)).charged).to.equal(93_000_000n + 20_000_000n);
    upstream.behave(streamOf(START, SEARCHING, END));
    await client().messages.stream(ask(priced)).finalMessage();
    expect((await billOf(relay, ada)).charged).to.equal(2n * 113_000_000n);
    const event = await relay.lastEvent(ada);
    expect(event).to.deep.include({ units: { searches: 2 }, estimated: false });
  });

  it("are held for as often as they are allowed", async () => {
    const poor = await relay.customer({ credits: "1000" });
    expect(await caught(client(poor.key).messages.create(ask(priced, 100)))).to.be.instanceOf(Anthropic.PaymentRequiredError);
  });

  it("are paid as far as they had begun when the client left", async () => {
    upstream.behave((socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(START), piece(SEARCHING)]));
      return closed(socket);
    });
    const stream = client().messages.stream(ask(priced));
    stream.on("contentBlock", () => stream.abort());
    await stream.done().catch(() => undefined);
    await waitFor(async () => (await relay.lastEvent(ada))?.status === "client_gone", { timeoutMs: 5_000, message: "the record" });
    // The input as it was counted at the start, one search, and its name.
    const { charged } = await billOf(relay, ada);
    expect(Number(charged - 30_000_000n - 10_000_000n) / 60_000).to.be.within(1, 3);
  });
});
