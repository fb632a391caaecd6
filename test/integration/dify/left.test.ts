import { expect } from "chai";
import { rawCall } from "../../support/rawCall.ts";
import { messageEnd } from "../../support/dify.ts";
import { useStack } from "../../support/stack.ts";
import { waitFor } from "../../support/waitFor.ts";
import { billOf } from "../gateway/bill.ts";
import { startRelay, type Customer, type CustomerOptions, type Relay } from "../gateway/harness.ts";
import { answerOf, startRawUpstream, type RawUpstream } from "../gateway/rawUpstream.ts";
import { startDify, type DifyRig } from "./rig.ts";

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const FULL = 93_000_000n;

describe("a message whose client left, and of which Dify did not say in time what it used", () => {
  const places = useStack();
  let relay: Relay;
  let rig: DifyRig;
  let raw: RawUpstream;
  let model: string;
  let made = 0;

  before(async () => {
    [relay, rig, raw] = await Promise.all([
      startRelay(places, { UPSTREAM_STOP_TIMEOUT: "600ms" }),
      startDify(places.databaseUrl),
      startRawUpstream(),
    ]);
    model = await relay.model([raw.url], { apiFormat: "dify", config: { dify: { unseen_tokens: 500 } } });
  });
  afterEach(async () => expect((await relay.ledger.verify()).differences).to.deep.equal([]));
  after(async () => {
    await Promise.all([relay?.close(), rig?.close()]);
    await raw?.close();
  });

  /** Makes a message whose client leaves. */
  async function leave(options: CustomerOptions = {}) {
    const message = `m-counted-${++made}`;
    raw.behave((socket, request) => {
      if (!/^POST \S*\/chat-messages /.test(request.head)) return answerOf(200, '{"result":"success"}')(socket, request);
      const ids = { task_id: `t-counted-${made}`, message_id: message, conversation_id: `c-counted-${made}` };
      socket.write(`${HEAD}data: ${JSON.stringify({ event: "message", ...ids, answer: "To the left." })}\n\n`);
    });
    const ada = await relay.customer({ models: [model], ...options });
    await rawCall(`${relay.url}/dify/v1/chat-messages`, {
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ inputs: {}, query: "Which way?", response_mode: "streaming" }),
      leave: (text) => text.includes("left"),
    });
    return { ada, message };
  }
  /** The same, recorded as far as it was seen. */
  async function left(options?: CustomerOptions) {
    const { ada, message } = await leave(options);
    const bill = await billOf(relay, ada);
    expect(bill).to.include({ status: "client_gone", estimated: true });
    return { ada, message, counted: bill.charged };
  }
  const report = (ada: Customer, message: string, input = 1_500, output = 800) =>
    rig.send(
      messageEnd({
        user_id: `tk_${ada.userId}`,
        message_id: message,
        input_tokens: input,
        output_tokens: output,
        total_tokens: input + output,
      }),
    );
  const charged = async (ada: Customer) => 1_000_000_000n - BigInt((await relay.balance(ada)).total);

  it("is charged for the rest when that is reported, once however often", async () => {
    const { ada, message, counted } = await left();
    expect(Number(counted)).to.be.within(15_000_000, 17_000_000);
    const answers = await Promise.all([report(ada, message), report(ada, message), report(ada, message)]);
    answers.push(await report(ada, message));
    for (const { status, body } of answers) expect([status, body.data.pointsDeducted]).to.deep.equal([200, 93]);
    expect(await charged(ada)).to.equal(FULL);
    const { rows } = await relay.pool.query("SELECT FROM ledger_settlements WHERE wallet_id = $1 AND charged > 0", [ada.walletId]);
    expect(rows).to.have.length(2);
  });

  it("counts all of it on the limits and quotas of its key, once", async () => {
    const { ada, message } = await left({ keyLimits: { spend_total: "300", quota_tokens: 1_000_000, quota_requests: 1_000 } });
    await Promise.all([report(ada, message), report(ada, message)]);
    expect(await charged(ada)).to.equal(FULL);
    const { rows } = await relay.pool.query(
      "SELECT left(period, 2) AS period, spent, held FROM ledger_budgets WHERE id = $1 ORDER BY period",
      [`key:${ada.keyId}`],
    );
    expect(rows).to.deep.equal([
      { period: "qr", spent: 100n, held: 0n },
      { period: "qt", spent: 230_000n, held: 0n },
      { period: "to", spent: FULL, held: 0n },
    ]);
  });

  it("keeps what was counted when less is reported, and operators are told", async () => {
    const { ada, message, counted } = await left();
    expect((await report(ada, message, 20, 3)).status).to.equal(200);
    expect(await charged(ada)).to.equal(counted);
    await waitFor(
      async () =>
        (await relay.pool.query("SELECT FROM incidents WHERE kind = 'usage_disagrees' AND user_id = $1", [ada.userId])).rows.length === 1,
      { timeoutMs: 3_000, message: "the incident" },
    );
  });

  it("is charged in full as its call when it is reported while that is still waited for", async () => {
    const { ada, message } = await leave();
    const { status, body } = await report(ada, message);
    expect([status, body.data.pointsDeducted]).to.deep.equal([200, 93]);
    await waitFor(() => relay.gateway.live === 0, { timeoutMs: 5_000, message: "the call to end" });
    expect((await billOf(relay, ada)).charged).to.equal(FULL);
    const { rows } = await relay.pool.query("SELECT FROM ledger_settlements WHERE wallet_id = $1 AND charged > 0", [ada.walletId]);
    expect(rows).to.have.length(1);
  });
});
