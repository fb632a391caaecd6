import { expect } from "chai";
import type OpenAI from "openai";
import { waitFor } from "../../support/stack.ts";
import { useOpenai } from "./openai/rig.ts";
import {
  answerOf,
  closed,
  DONE,
  FULL,
  hang,
  LAST_PIECE,
  piece,
  REST,
  ROLE,
  startRawUpstream,
  STOP,
  STREAM_HEAD,
  streamOf,
  text,
  type Behaviour,
  type RawUpstream,
} from "./rawUpstream.ts";

describe("what clients see of a stream", () => {
  const rig = useOpenai({ STREAM_HEARTBEAT: "300ms", HOLD_TTL: "30s" });
  let upstream: RawUpstream;
  let model: string;

  before(async () => {
    upstream = rig.raw;
    model = await rig.model({ raw: true, timeouts: { first_byte_ms: 700, whole_ms: 700, idle_ms: 700, total_ms: 3_000 } });
  });

  const openai = (): OpenAI => rig.client();
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

  it("passes a 1 MB event and a character cut in two, byte for byte", async () => {
    const large = Buffer.from(text("界".repeat(350_000)));
    const cut = large.indexOf(Buffer.from("界")) + 1;
    const seen = await call(
      streamOf(large.subarray(0, cut), large.subarray(cut, 500_000), large.subarray(500_000), STOP, FULL, DONE),
      true,
    );
    expect(seen.text).to.equal("界".repeat(350_000));
    expect((await rig.bill()).charged).to.equal(93_000_000n);
  });

  it("shows the usage chunk only to those who ask", async () => {
    const events = [ROLE, text(REST), STOP, FULL, DONE];
    upstream.behave(streamOf(...events));
    const fetchStream = async (options: object) => {
      const response = await fetch(`${rig.relay.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${rig.ada.key}`, "content-type": "application/json", "x-request-id": "my-own-id-1" },
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
    expect(upstream.requests[0]!.head).to.not.contain(rig.ada.key);
    expect(upstream.requests[0]!.head).to.match(/authorization: Bearer upstream-key/i);
  });

  it("keeps a silent stream alive with comments that clients ignore", async () => {
    let speak = (): void => undefined;
    const silence = new Promise<void>((resolve) => (speak = resolve));
    upstream.behave(async (socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello"))]));
      await silence;
      socket.write(Buffer.concat([piece(text(" again")), piece(FULL + DONE), LAST_PIECE]));
    });
    const response = await fetch(`${rig.relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${rig.ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages, stream: true }),
    });
    let said = "";
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      said += chunk;
      if (said.includes(": keep-alive")) speak();
    }
    expect(said.replaceAll(": keep-alive\n\n", "")).to.equal(text("Hello") + text(" again") + DONE);
    expect(said).to.match(/"Hello".*\n\n(: keep-alive\n\n)+data: .*" again"/);
  });

  it("a provider that never answers is an error in the stream once a heartbeat has begun it", async () => {
    const seen = await call(hang, true);
    expect(seen).to.deep.include({ status: 200, text: "" });
    expect(seen.error).to.include({ code: "upstream_timeout" });
    expect(await rig.bill()).to.include({ charged: 0n, code: "upstream_first_byte_timeout" });
    await waitFor(() => upstream.aborted === 1, { timeoutMs: 3_000, message: "the provider's socket to be closed" });
  });

  it("a client that leaves before the first content pays nothing, and the provider is told to stop", async () => {
    upstream.behave((socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(ROLE)]));
      return closed(socket);
    });
    const controller = new AbortController();
    const stream = openai()
      .chat.completions.create({ model, messages, stream: true }, { signal: controller.signal })
      .catch(() => undefined);
    await waitFor(() => upstream.requests.length === 1, { timeoutMs: 3_000, message: "the provider's request" });
    controller.abort();
    await stream;
    expect(await rig.bill()).to.include({ charged: 0n, status: "client_gone" });
    await waitFor(() => upstream.aborted === 1, { timeoutMs: 3_000, message: "the provider's socket to be closed" });
  });

  it("a provider that dies after its greeting is replaced by another, unseen", async () => {
    const second = await startRawUpstream();
    try {
      const served = await rig.relay.model([upstream.url, second.url]);
      upstream.behave((socket) => {
        socket.end(Buffer.concat([Buffer.from(STREAM_HEAD), piece(ROLE)]));
      });
      second.behave(streamOf(ROLE, text("whole"), STOP, DONE));
      let said = "";
      for await (const chunk of await openai().chat.completions.create({ model: served, messages, stream: true }))
        said += chunk.choices[0]?.delta.content ?? "";
      expect(said).to.equal("whole");
      expect(upstream.requests.length + second.requests.length).to.equal(2);
    } finally {
      await second.close();
    }
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
    expect(await rig.bill()).to.include({ charged: 630_000n, status: "client_gone", estimated: true });
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
    expect(await rig.bill()).to.include({ charged: 0n, status: "client_gone" });
  });

  it("another provider takes over while the client has seen nothing", async () => {
    const second = await startRawUpstream();
    const both = await rig.relay.model([upstream.url, second.url]);
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
    expect((await rig.bill()).charged).to.equal(4n * 93_000_000n);
    await second.close();
  });

  it("a provider known to send no terminal event ends by its finish reason", async () => {
    const lax = await rig.relay.model([upstream.url], { config: { skip_done: true } });
    upstream.behave(streamOf(text(REST), STOP, FULL));
    const stream = await openai().chat.completions.create({ model: lax, messages, stream: true });
    let said = "";
    for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? "";
    expect(said).to.equal(REST);
    expect((await rig.bill()).charged).to.equal(93_000_000n);
  });
});
