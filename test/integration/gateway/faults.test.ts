import { expect } from "chai";
import OpenAI from "openai";
import { useStack, waitFor } from "../../support/stack.ts";
import { FAULTS } from "./faultTable.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { answerOf, DONE, startRawUpstream, STOP, streamOf, text, type Behaviour, type RawUpstream } from "./rawUpstream.ts";

const CREDIT = 1_000_000_000n;

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

  for (const row of FAULTS) {
    it(`${row.name}: ${row.status}${row.code ? ` ${row.code}` : ""}, charged ${Number(row.charged ?? 0n) / 1e6}`, async () => {
      const seen = await call(row.behaviour, row.stream);
      expect(seen.status, seen.error?.message).to.equal(row.status);
      if (row.code) expect(seen.error?.code).to.equal(row.code);
      else if (row.status === 200) expect(seen.error).to.equal(undefined);
      if (row.text !== undefined) expect(seen.text).to.equal(row.text);
      expect(seen.error?.message ?? "").to.not.match(/sk-|10\.0\.0\.1|127\.0\.0\.1/);
      const billed = await bill();
      expect(billed).to.include({ charged: row.charged ?? 0n, code: row.record, status: row.record === null ? "ok" : "failed" });
      if (row.estimated !== undefined) expect(billed.estimated).to.equal(row.estimated);
      if (row.aborted)
        await waitFor(() => upstream.aborted === row.aborted, { timeoutMs: 3_000, message: "the provider's socket to be closed" });
      expect((await relay.ledger.verify()).balanced).to.equal(true);
    });
  }

  it("usage that cannot be read is kept for operators", async () => {
    const unreadable = `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: "5", completion_tokens: 2 } })}\n\n`;
    await call(streamOf(text("Hi"), STOP, unreadable, DONE), true);
    expect(await bill()).to.include({ status: "ok", estimated: true });
    const { id } = (await relay.lastEvent(ada))!;
    const kinds = async () => (await relay.pool.query<{ kind: string }>("SELECT kind FROM incidents WHERE subject = $1", [id])).rows;
    await waitFor(async () => (await kinds()).some(({ kind }) => kind === "usage_unreadable"), {
      timeoutMs: 3_000,
      message: "the incident",
    });
  });

  it("a provider that refuses our key is not asked again by official clients", async () => {
    upstream.behave(answerOf(401, '{"error":{"message":"bad key"}}'));
    const before = upstream.requests.length;
    const client = new OpenAI({ apiKey: ada.key, baseURL: `${relay.url}/v1` });
    const error = await client.chat.completions.create({ model, messages }).catch((refused: unknown) => refused as { status?: number });
    expect(error).to.include({ status: 502 });
    expect(upstream.requests.length - before).to.equal(1);
  });
});
