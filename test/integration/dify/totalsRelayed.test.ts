import { expect } from "chai";
import type { EventView } from "../../../src/usage/dify/inbox.ts";
import { rawCall } from "../../support/rawCall.ts";
import { messageEnd } from "../../support/dify.ts";
import { useStack } from "../../support/stack.ts";
import { billOf } from "../gateway/bill.ts";
import { startRelay, type Relay } from "../gateway/harness.ts";
import { startRawUpstream, type RawUpstream } from "../gateway/rawUpstream.ts";
import { startDify, type DifyRig, type Page } from "./rig.ts";

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const FULL = 93_000_000n;

describe("a message that is reported with a wrong total before the relay has recorded it", () => {
  const places = useStack();
  let relay: Relay;
  let rig: DifyRig;
  let raw: RawUpstream;

  before(async () => {
    [relay, rig, raw] = await Promise.all([startRelay(places), startDify(places.databaseUrl), startRawUpstream()]);
  });
  afterEach(async () => expect((await relay.ledger.verify()).differences).to.deep.equal([]));
  after(async () => {
    await Promise.all([relay?.close(), rig?.close()]);
    await raw?.close();
  });

  it("is charged once, by the relay, and its event is closed as charged by the sweep", async () => {
    const model = await relay.model([raw.url], { apiFormat: "dify" });
    const ada = await relay.customer({ models: [model] });
    const ids = { task_id: "t-wrong", message_id: "m-wrong", conversation_id: "c-wrong" };
    const wrong = messageEnd({ user_id: `tk_${ada.userId}`, message_id: ids.message_id, total_tokens: 9_999 });
    const usage = { prompt_tokens: 1_500, completion_tokens: 800, total_tokens: 2_300 };
    let refused = 0;
    raw.behave((socket) => {
      socket.write(`${HEAD}data: ${JSON.stringify({ event: "message", ...ids, answer: "To the left." })}\n\n`);
      void rig.send(wrong).then(({ status }) => {
        refused = status;
        socket.end(`data: ${JSON.stringify({ event: "message_end", ...ids, metadata: { usage } })}\n\n`);
      });
    });
    await rawCall(`${relay.url}/dify/v1/chat-messages`, {
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ inputs: {}, query: "Which way?", response_mode: "streaming" }),
    });
    expect([refused, (await billOf(relay, ada)).charged]).to.deep.equal([400, FULL]);
    await rig.sweep();
    await rig.sweep();
    const { items } = (await rig.admin<Page<EventView>>("GET", `/api/admin/dify/events?message_id=${ids.message_id}`)).body.data;
    expect(items).to.have.length(1);
    expect(items[0]).to.include({ state: "charged", points: "93", relayed: true, totals_agree: false });
    expect((await rig.send(wrong)).body.data).to.include({ pointsDeducted: 93 });
    expect((await billOf(relay, ada)).charged).to.equal(FULL);
  });
});
