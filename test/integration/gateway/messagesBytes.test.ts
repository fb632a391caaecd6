import { expect } from "chai";
import { useStack } from "../../support/stack.ts";
import { billOf } from "./bill.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { answerOf, startRawUpstream, streamOf, type RawUpstream } from "./rawUpstream.ts";

const event = (type: string, fields: object = {}): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
const USAGE = { input_tokens: 1_500, cache_creation_input_tokens: null, cache_read_input_tokens: null, output_tokens: 800 };
const START = event("message_start", {
  message: { id: "msg_1", type: "message", role: "assistant", content: [], model: "m", usage: { ...USAGE, output_tokens: 1 } },
});
const OPEN = event("content_block_start", { index: 0, content_block: { type: "text", text: "" } });
const TEXT = event("content_block_delta", { index: 0, delta: { type: "text_delta", text: "Grüße, 世界 🛣️" } });
const ODD = 'event: content_block_delta\ndata: { "index": 0, "type": "content_block_delta", "delta": {"type": "of_tomorrow", "x": 1} }\n\n';
const CLOSE = event("content_block_stop", { index: 0 });
const LAST = event("message_delta", {
  delta: { stop_reason: "end_turn", stop_sequence: null },
  usage: { output_tokens: 800, input_tokens: null },
});
const STOP = event("message_stop");

describe("the bytes of a message", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let model: string;
  let ada: Customer;

  before(async () => {
    upstream = await startRawUpstream();
    relay = await startRelay(places, { HOLD_TTL: "30s" });
    model = await relay.model([upstream.url], { apiFormat: "claude" });
  });
  beforeEach(async () => {
    ada = await relay.customer();
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  const post = (body: object): Promise<Response> =>
    fetch(`${relay.url}/v1/messages?beta=true`, {
      method: "POST",
      headers: {
        "x-api-key": ada.key,
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "interleaved-thinking-2025-05-14",
      },
      body: JSON.stringify({ model, max_tokens: 900, messages: [{ role: "user", content: "Hello" }], ...body }),
    });

  it("are the provider's own in a stream, whatever the events are and however they are cut", async () => {
    const events = [START, event("ping"), OPEN, TEXT, ODD, event("of_tomorrow", { y: 2 }), CLOSE, LAST, STOP];
    const all = Buffer.from(events.join(""));
    const cut = all.indexOf(Buffer.from("世")) + 1;
    for (const pieces of [events, [all], [all.subarray(0, cut), all.subarray(cut)], [all.toString().replaceAll("\n", "\r\n")]]) {
      upstream.behave(streamOf(...pieces));
      const response = await post({ stream: true });
      expect(response.headers.get("content-type")).to.equal("text/event-stream; charset=utf-8");
      expect(await response.text()).to.equal(Buffer.concat(pieces.map((one) => Buffer.from(one))).toString());
    }
    expect(await billOf(relay, ada)).to.deep.include({ charged: 4n * 93_000_000n, status: "ok", estimated: false });
    expect(upstream.requests[0]!.head)
      .to.match(/^anthropic-version: 2023-06-01$/im)
      .and.to.match(/^anthropic-beta: interleaved-thinking-2025-05-14$/im);
  });

  it("are the provider's own in a whole answer", async () => {
    const body = `{ "id": "msg_1", "type": "message", "content": [{"type":"text","text":"Hi"}], "usage": ${JSON.stringify(USAGE)}, "of_tomorrow": 1 }`;
    upstream.behave(answerOf(200, body));
    expect(await (await post({})).text()).to.equal(body);
    expect((await billOf(relay, ada)).charged).to.equal(93_000_000n);
  });
});
