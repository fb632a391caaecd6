import { expect } from "chai";
import OpenAI from "openai";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import {
  answerOf,
  closed,
  DONE,
  LAST_PIECE,
  piece,
  ROLE,
  startRawUpstream,
  STOP,
  STREAM_HEAD,
  streamOf,
  text,
  usage,
  type Behaviour,
  type RawUpstream,
} from "./rawUpstream.ts";

const CREDIT = 1_000_000_000n;
/** 1500 and 800 tokens at 30 and 60 per 1000 are 93 credits. */
const FULL = usage(1500, 800);
const REST = "Hello, traveller.";

const whole = (fields: object): string =>
  JSON.stringify({
    id: "c1",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content: REST }, finish_reason: "stop" }],
    ...fields,
  });
const hang: Behaviour = (socket) => closed(socket);

describe("every way a provider can end a call", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let model: string;
  let ada: Customer;

  before(async () => {
    upstream = await startRawUpstream();
    relay = await startRelay(places, { STREAM_HEARTBEAT: "300ms", HOLD_TTL: "30s" });
    model = await relay.model([upstream.url], { timeouts: { first_byte_ms: 700, idle_ms: 700, total_ms: 3_000 } });
  });
  beforeEach(async () => {
    ada = await relay.customer();
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  const openai = (): OpenAI => new OpenAI({ apiKey: ada.key, baseURL: `${relay.url}/v1`, maxRetries: 0 });
  const messages = [{ role: "user" as const, content: "How much is the toll?" }];

  interface Seen {
    status: number;
    text: string;
    error: { code?: unknown; message?: string; status?: number } | undefined;
  }

  async function call(behaviour: Behaviour, stream: boolean, more: object = {}): Promise<Seen> {
    upstream.behave(behaviour);
    let said = "";
    try {
      if (!stream) {
        const answer = await openai().chat.completions.create({ model, messages, max_tokens: 900, ...more });
        return { status: 200, text: answer.choices[0]?.message.content ?? "", error: undefined };
      }
      for await (const chunk of await openai().chat.completions.create({ model, messages, max_tokens: 900, stream: true, ...more })) {
        said += chunk.choices[0]?.delta.content ?? "";
      }
      return { status: 200, text: said, error: undefined };
    } catch (error) {
      const api = error as { status?: number; code?: unknown; message: string };
      return { status: api.status ?? 200, text: said, error: api };
    }
  }

  /** After everything: the charge in micro-credits, nothing held, and the record. */
  async function bill(): Promise<{
    charged: bigint;
    status: string | undefined;
    code: string | null | undefined;
    estimated: boolean | undefined;
  }> {
    await waitFor(async () => (await relay.lastEvent(ada)) !== undefined, { timeoutMs: 5_000, message: "the record" });
    await relay.settle();
    await waitFor(async () => (await relay.balance(ada)).held === "0", { timeoutMs: 5_000, message: "nothing held" });
    const event = await relay.lastEvent(ada);
    const { total } = await relay.balance(ada);
    return { charged: CREDIT - BigInt(total), status: event?.status, code: event?.error_code, estimated: event?.estimated };
  }

  interface Row {
    name: string;
    stream: boolean;
    behaviour: Behaviour;
    status: number;
    code?: string;
    text?: string;
    charged: bigint;
    record: string | null;
    estimated?: boolean;
    aborted?: number;
  }

  const rows: Row[] = [
    {
      name: "a stream with usage",
      stream: true,
      behaviour: streamOf(ROLE, text(REST), STOP, FULL, DONE),
      status: 200,
      text: REST,
      charged: 93_000_000n,
      record: null,
    },
    {
      name: "an answer with usage",
      stream: false,
      behaviour: answerOf(200, whole({ usage: { prompt_tokens: 1500, completion_tokens: 800, total_tokens: 2300 } })),
      status: 200,
      text: REST,
      charged: 93_000_000n,
      record: null,
    },
    {
      name: "a stream with an explicit zero",
      stream: true,
      behaviour: streamOf(ROLE, text(REST), STOP, usage(0, 0), DONE),
      status: 200,
      text: REST,
      charged: 0n,
      record: null,
    },
    {
      name: "an answer with an explicit zero",
      stream: false,
      behaviour: answerOf(200, whole({ usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } })),
      status: 200,
      charged: 0n,
      record: null,
    },
    // 13 prompt tokens with framing; "Hello, traveller." is 4.
    {
      name: "a stream without usage",
      stream: true,
      behaviour: streamOf(ROLE, text(REST), STOP, DONE),
      status: 200,
      text: REST,
      charged: 630_000n,
      record: null,
      estimated: true,
    },
    {
      name: "an answer without usage",
      stream: false,
      behaviour: answerOf(200, whole({})),
      status: 200,
      charged: 630_000n,
      record: null,
      estimated: true,
    },
    {
      name: "usage that cannot be read",
      stream: false,
      behaviour: answerOf(200, whole({ usage: { prompt_tokens: "1500", completion_tokens: 8 } })),
      status: 200,
      charged: 630_000n,
      record: null,
      estimated: true,
    },
    {
      name: "usage larger than the hold and its tolerance",
      stream: true,
      behaviour: streamOf(text(REST), STOP, usage(1500, 2_000), DONE),
      status: 200,
      charged: 154_450_000n,
      record: null,
    },
    {
      name: "a dead provider before the first byte",
      stream: true,
      behaviour: (socket) => void socket.destroy(),
      status: 502,
      code: "upstream_error",
      charged: 0n,
      record: "upstream_network",
    },
    {
      name: "a dead provider before the first byte, no stream",
      stream: false,
      behaviour: (socket) => void socket.destroy(),
      status: 502,
      code: "upstream_error",
      charged: 0n,
      record: "upstream_network",
    },
    {
      name: "a stream that dies in the middle",
      stream: true,
      status: 200,
      code: "upstream_error",
      text: "Hello",
      charged: 0n,
      record: "upstream_closed",
      behaviour: async (socket) => {
        socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello"))]));
        await new Promise((resolve) => setTimeout(resolve, 50));
        socket.destroy();
      },
    },
    {
      name: "an answer that dies in the middle",
      stream: false,
      status: 502,
      code: "upstream_error",
      charged: 0n,
      record: "upstream_closed",
      behaviour: async (socket) => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{"id":');
        await new Promise((resolve) => setTimeout(resolve, 50));
        socket.destroy();
      },
    },
    {
      name: "a stream without its terminal event",
      stream: true,
      behaviour: streamOf(text("Hello"), STOP, FULL),
      status: 200,
      code: "upstream_error",
      text: "Hello",
      charged: 0n,
      record: "upstream_closed",
    },
    {
      name: "an error inside the stream",
      stream: true,
      behaviour: streamOf(text("Hello"), `data: {"error":{"message":"overloaded"}}\n\n`, DONE),
      status: 200,
      code: "upstream_error",
      text: "Hello",
      charged: 0n,
      record: "upstream_error_event",
    },
    {
      name: "an error as the first event",
      stream: true,
      behaviour: streamOf(`data: {"error":{"message":"overloaded"}}\n\n`),
      status: 502,
      code: "upstream_error",
      charged: 0n,
      record: "upstream_error_event",
    },
    {
      name: "an error inside a 200",
      stream: false,
      behaviour: answerOf(200, '{"error":{"message":"overloaded"}}'),
      status: 502,
      code: "upstream_error",
      charged: 0n,
      record: "upstream_error_event",
    },
    {
      name: "bad JSON in a stream",
      stream: true,
      behaviour: streamOf(text("Hello"), 'data: {"choices":[{"delta":{"content":"x\n\n', FULL, DONE),
      status: 200,
      code: "upstream_error",
      text: "Hello",
      charged: 0n,
      record: "upstream_malformed",
    },
    {
      name: "bad JSON in an answer",
      stream: false,
      behaviour: answerOf(200, '{"choices":['),
      status: 502,
      code: "upstream_error",
      charged: 0n,
      record: "upstream_malformed",
    },
    {
      name: "a page instead of an answer",
      stream: false,
      behaviour: answerOf(200, "<html>", "content-type: text/html"),
      status: 502,
      code: "upstream_error",
      charged: 0n,
      record: "upstream_malformed",
    },
    {
      name: "a page instead of a stream",
      stream: true,
      behaviour: answerOf(200, "<html>", "content-type: text/html"),
      status: 502,
      code: "upstream_error",
      charged: 0n,
      record: "upstream_malformed",
    },
    {
      name: "no first byte in time",
      stream: true,
      behaviour: hang,
      status: 200,
      code: "upstream_timeout",
      charged: 0n,
      record: "upstream_first_byte_timeout",
      aborted: 1,
    },
    {
      name: "no first byte in time, no stream",
      stream: false,
      behaviour: hang,
      status: 504,
      code: "upstream_timeout",
      charged: 0n,
      record: "upstream_first_byte_timeout",
      aborted: 1,
    },
    {
      name: "silence for longer than the idle time",
      stream: true,
      status: 200,
      code: "upstream_timeout",
      text: "Hello",
      charged: 0n,
      record: "upstream_idle_timeout",
      aborted: 1,
      behaviour: (socket) => {
        socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello"))]));
        return closed(socket);
      },
    },
    {
      name: "a stream that never ends",
      stream: true,
      status: 200,
      code: "upstream_timeout",
      charged: 0n,
      record: "upstream_total_timeout",
      aborted: 1,
      behaviour: async (socket) => {
        socket.write(STREAM_HEAD);
        const timer = setInterval(() => socket.write(piece(text("x"))), 50);
        await closed(socket);
        clearInterval(timer);
      },
    },
    {
      name: "400",
      stream: false,
      behaviour: answerOf(
        400,
        '{"error":{"message":"bad temperature at http://10.0.0.1/","type":"invalid_request_error","param":"temperature","code":null}}',
      ),
      status: 400,
      charged: 0n,
      record: "upstream_rejected",
    },
    {
      name: "401",
      stream: false,
      behaviour: answerOf(401, '{"error":{"message":"Incorrect API key sk-abcdef123456"}}'),
      status: 502,
      code: "upstream_error",
      charged: 0n,
      record: "upstream_refused",
    },
    {
      name: "429",
      stream: true,
      behaviour: answerOf(429, "{}"),
      status: 429,
      code: "upstream_rate_limited",
      charged: 0n,
      record: "upstream_rate_limited",
    },
    {
      name: "500",
      stream: true,
      behaviour: answerOf(500, "oops"),
      status: 502,
      code: "upstream_error",
      charged: 0n,
      record: "upstream_5xx",
    },
    {
      name: "a redirect",
      stream: false,
      behaviour: answerOf(302, "", "location: http://127.0.0.1:1/"),
      status: 502,
      code: "upstream_error",
      charged: 0n,
      record: "upstream_refused",
    },
  ];

  for (const row of rows) {
    it(`${row.name}: ${row.status}${row.code ? ` ${row.code}` : ""}, charged ${Number(row.charged) / 1e6}`, async () => {
      const seen = await call(row.behaviour, row.stream);
      expect(seen.status, seen.error?.message).to.equal(row.status);
      if (row.code) expect(seen.error?.code).to.equal(row.code);
      else if (row.status === 200) expect(seen.error).to.equal(undefined);
      if (row.text !== undefined) expect(seen.text).to.equal(row.text);
      expect(seen.error?.message ?? "").to.not.match(/sk-|10\.0\.0\.1|127\.0\.0\.1/);
      const billed = await bill();
      expect(billed).to.include({ charged: row.charged, code: row.record, status: row.record === null ? "ok" : "failed" });
      if (row.estimated !== undefined) expect(billed.estimated).to.equal(row.estimated);
      if (row.aborted)
        await waitFor(() => upstream.aborted === row.aborted, { timeoutMs: 3_000, message: "the provider's socket to be closed" });
      expect((await relay.ledger.verify()).balanced).to.equal(true);
    });
  }

  it("passes a 1 MB event and a character cut in two, byte for byte", async () => {
    const large = Buffer.from(text("界".repeat(350_000)));
    const cut = large.indexOf(Buffer.from("界")) + 1;
    const seen = await call(
      streamOf(large.subarray(0, cut), large.subarray(cut, 500_000), large.subarray(500_000), STOP, FULL, DONE),
      true,
    );
    expect(seen.text).to.equal("界".repeat(350_000));
    expect((await bill()).charged).to.equal(93_000_000n);
  });

  it("shows the usage chunk only to those who ask", async () => {
    const events = [ROLE, text(REST), STOP, FULL, DONE];
    upstream.behave(streamOf(...events));
    const fetchStream = async (options: object) => {
      const response = await fetch(`${relay.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json", "x-request-id": "my-own-id-1" },
        body: JSON.stringify({ model, messages, stream: true, ...options }),
      });
      return { response, body: await response.text() };
    };
    const asked = await fetchStream({ stream_options: { include_usage: true } });
    expect(asked.body).to.equal(events.join(""));
    const silent = await fetchStream({});
    expect(silent.body).to.equal([ROLE, text(REST), STOP, DONE].join(""));
    expect(silent.response.headers.get("x-request-id")).to.equal("my-own-id-1");
    expect(silent.response.headers.get("request-id")).to.equal("my-own-id-1");
    expect(silent.response.headers.get("content-type")).to.equal("text/event-stream; charset=utf-8");
    for (const name of ["set-cookie", "openai-organization"]) expect(silent.response.headers.get(name)).to.equal(null);
    expect(upstream.requests[0]!.body).to.deep.include({ model: "upstream-model", stream_options: { include_usage: true } });
    expect(upstream.requests[0]!.head).to.not.contain(ada.key);
    expect(upstream.requests[0]!.head).to.match(/authorization: Bearer upstream-key/i);
  });

  it("keeps a silent stream alive with comments that clients ignore", async () => {
    upstream.behave(async (socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello"))]));
      await new Promise((resolve) => setTimeout(resolve, 600));
      socket.write(Buffer.concat([piece(text(" again")), piece(FULL + DONE), LAST_PIECE]));
    });
    const response = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages, stream: true }),
    });
    expect(await response.text()).to.equal(`${text("Hello")}: keep-alive\n\n${text(" again")}${DONE}`);
  });

  it("a client that leaves before the first content pays nothing, and the provider is told to stop", async () => {
    upstream.behave((socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(ROLE)]));
      return closed(socket);
    });
    const controller = new AbortController();
    const stream = await openai().chat.completions.create({ model, messages, stream: true }, { signal: controller.signal });
    for await (const _chunk of stream) break;
    controller.abort();
    expect(await bill()).to.include({ charged: 0n, status: "client_gone" });
    await waitFor(() => upstream.aborted === 1, { timeoutMs: 3_000, message: "the provider's socket to be closed" });
  });

  it("a client that leaves later pays the prompt and what it was given", async () => {
    upstream.behave((socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(ROLE), piece(text(REST))]));
      return closed(socket);
    });
    const controller = new AbortController();
    const stream = await openai().chat.completions.create({ model, messages, stream: true }, { signal: controller.signal });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    controller.abort();
    expect(await bill()).to.include({ charged: 630_000n, status: "client_gone", estimated: true });
    await waitFor(() => upstream.aborted === 1, { timeoutMs: 3_000, message: "the provider's socket to be closed" });
  });

  it("a client that leaves before a whole answer pays nothing", async () => {
    upstream.behave(hang);
    const controller = new AbortController();
    const answer = openai()
      .chat.completions.create({ model, messages }, { signal: controller.signal })
      .catch(() => undefined);
    await waitFor(() => upstream.requests.length === 1, { timeoutMs: 3_000, message: "the provider's request" });
    controller.abort();
    await answer;
    expect(await bill()).to.include({ charged: 0n, status: "client_gone" });
  });

  it("another provider takes over while the client has seen nothing", async () => {
    const second = await startRawUpstream();
    const both = await relay.model([upstream.url, second.url]);
    second.behave(streamOf(text(REST), STOP, FULL, DONE));
    for (const fault of [
      answerOf(500, "x"),
      answerOf(429, "{}"),
      (socket) => void socket.destroy(),
      streamOf(ROLE.replace("data", "datum")),
    ] as Behaviour[]) {
      upstream.behave(fault);
      const stream = await openai().chat.completions.create({ model: both, messages, stream: true });
      let said = "";
      for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? "";
      expect(said).to.equal(REST);
    }
    expect((await bill()).charged).to.equal(4n * 93_000_000n);
    await second.close();
  });

  it("a provider known to send no terminal event ends by its finish reason", async () => {
    const lax = await relay.model([upstream.url], { config: { skip_done: true } });
    upstream.behave(streamOf(text(REST), STOP, FULL));
    const stream = await openai().chat.completions.create({ model: lax, messages, stream: true });
    let said = "";
    for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? "";
    expect(said).to.equal(REST);
    expect((await bill()).charged).to.equal(93_000_000n);
  });
});
