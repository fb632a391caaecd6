import { expect } from "chai";
import { rawCall } from "../../../support/rawCall.ts";
import { startRawUpstream, type RawUpstream } from "../rawUpstream.ts";
import type { Customer } from "../harness.ts";
import { eventsOf, useDify } from "./rig.ts";

const IDS = { task_id: "t-1", message_id: "m-1", conversation_id: "c-1" };
const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const event = (name: string, more: object): string => `data: ${JSON.stringify({ event: name, ...IDS, ...more })}\n\n`;
const words = event("message", { answer: "To the left." });
const end = event("message_end", { metadata: { usage: { prompt_tokens: 1_500, completion_tokens: 800, total_price: "0.0031000" } } });
const run = event("workflow_finished", { data: { status: "succeeded", total_tokens: 9_999 } });

describe("the end of a Dify stream", () => {
  const rig = useDify();
  let raw: RawUpstream;
  let ada: Customer;
  let id = 0;

  before(async () => (raw = await startRawUpstream()));
  after(() => raw?.close());
  beforeEach(async () => {
    ada = await rig.customer(await rig.relay.model([raw.url], { apiFormat: "dify" }));
    // A message is charged once, ever.
    id += 1;
  });

  const own = (text: string): string => text.replaceAll("m-1", `m-${id}`);
  const ask = (more: Partial<Parameters<typeof rawCall>[1]> = {}) =>
    rawCall(`${rig.relay.url}/dify/v1/chat-messages`, {
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ inputs: {}, query: "Which way?", response_mode: "streaming" }),
      ...more,
    });
  const FULL = { charged: 93_000_000n, status: "ok", estimated: false };

  for (const [name, parts] of [
    ["the run's before the message's", [words, run, end]],
    ["the message's before the run's", [words, end, run]],
    ["the message's alone", [words, end]],
    ["a second one, and words after it", [words, end, words, end]],
  ] as const) {
    it(`${name}: charged once, from the message`, async () => {
      raw.behave((socket) => void socket.end(own(HEAD + parts.join(""))));
      const { text } = await ask();
      const names = eventsOf(text).map(({ event: said }) => said);
      expect(names).to.deep.equal(
        parts.length === 4 ? ["message", "message_end"] : eventsOf(parts.join("")).map(({ event: said }) => said),
      );
      expect(await rig.bill(ada)).to.include(FULL);
    });
  }

  it("is the same however the bytes are cut", async () => {
    const bytes = Buffer.from(own(HEAD + words + "event: ping\n\n" + run + end));
    raw.behave(async (socket) => {
      for (let at = 0; at < bytes.length; at += 7) {
        socket.write(bytes.subarray(at, at + 7));
        await new Promise((resolve) => setImmediate(resolve));
      }
      socket.end();
    });
    const { text } = await ask();
    expect(text).to.equal(own(words + "event: ping\n\n" + run + end));
    expect(await rig.bill(ada)).to.include(FULL);
  });

  it("is given although Dify does not close the stream", async () => {
    raw.behave((socket) => void socket.write(own(HEAD + words + end)));
    const { text, broken } = await ask();
    expect([broken, text]).to.deep.equal([false, own(words + end)]);
    expect(await rig.bill(ada)).to.include(FULL);
  });

  it("counts when Dify breaks off after it", async () => {
    raw.behave((socket) => {
      socket.write(
        own(
          HEAD.replace("connection: close", "transfer-encoding: chunked") +
            `${Buffer.byteLength(own(words + end)).toString(16)}\r\n${words}${end}\r\n`,
        ),
      );
      setTimeout(() => socket.destroy(), 50);
    });
    const { text, broken } = await ask();
    expect([broken, text]).to.deep.equal([false, own(words + end)]);
    expect(await rig.bill(ada)).to.include(FULL);
  });

  it("counts in full when the client leaves while the rest is waited for", async () => {
    raw.behave((socket) => void socket.write(own(HEAD + words + end)));
    await ask({ leave: (text) => text.includes("To the left") });
    expect(await rig.bill(ada)).to.include(FULL);
  });
});
