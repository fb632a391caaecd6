import { randomUUID } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import express from "express";
import { difyWebhookRouter } from "../../../src/usage/dify/index.ts";
import { LATE_MS } from "../../../src/usage/dify/message.ts";
import { forgetMessages, KEPT_MS } from "../../../src/usage/dify/retention.ts";
import { difyMessageKey } from "../../../src/usage/index.ts";
import { signed, type MessageEnd } from "../../support/dify.ts";
import { useStack } from "../../support/stack.ts";
import { eventOf } from "../../support/usage.ts";
import { message, startDify, type DifyRig, type Person } from "./rig.ts";

const MICRO = 1_000_000n;
const DAY_MS = 86_400_000;

describe("what makes a repeat of a Dify message a repeat", function () {
  this.timeout(60_000);
  const places = useStack();
  let rig: DifyRig;
  before(async () => {
    rig = await startDify(places.databaseUrl);
    await rig.model("gpt-4");
  });
  after(() => rig.close());

  const countOf = async (table: string) =>
    (await rig.pool.query(`SELECT count(*)::integer AS count FROM ${table}`)).rows[0].count as number;
  const relayed = async (person: Person, messageId: string) => {
    const event = eventOf(person, { priceVersionId: null, messageKey: difyMessageKey(messageId) });
    await rig.ledger.authorize({ id: event.id, walletId: person.walletId, amount: 100n * MICRO, owner: "test", ttlMs: 60_000 });
    return rig.usage.record(event);
  };

  /** Sends a delivery that is signed and taken so many milliseconds from now. */
  async function sendLater(body: MessageEnd, ms: number): Promise<{ status: number; code: string | undefined }> {
    const clock = () => Date.now() + ms;
    const app = express().use(difyWebhookRouter({ ...rig.webhook, clock }));
    const server = http.createServer(app).listen(0, "127.0.0.1");
    try {
      await new Promise((resolve) => server.once("listening", resolve));
      const raw = JSON.stringify(body);
      const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, {
        method: "POST",
        headers: signed(raw, { timestamp: Math.floor(clock() / 1_000) }),
        body: raw,
      });
      return { status: answer.status, code: ((await answer.json()) as { error?: { code: string } }).error?.code };
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  it("is kept longer than a message can be taken, in whatever order it comes", () => {
    expect(KEPT_MS).to.be.greaterThan(LATE_MS + DAY_MS);
  });

  it("is kept for as long as the repeat would be taken; after that the repeat is too old, and charged neither way", async () => {
    const ada = await rig.person(1_000);
    const body = message({ user_id: ada.userId });
    expect((await rig.send(body)).status).to.equal(200);

    // The last moment at which it would be taken: everything is remembered.
    await forgetMessages(rig.pool, Date.now() + LATE_MS);
    expect(await sendLater(body, LATE_MS - 60_000)).to.include({ status: 200 });
    expect(await countOf("dify_keys")).to.equal(2);

    await forgetMessages(rig.pool, Date.now() + KEPT_MS + 60_000);
    expect([await countOf("dify_keys"), await countOf("usage_messages")]).to.deep.equal([0, 0]);
    expect(await sendLater(body, KEPT_MS + 60_000)).to.deep.equal({ status: 400, code: "validation_failed" });
    expect((await rig.balance(ada)).total).to.equal(907n * MICRO);
    expect(await countOf("dify_events"), "what was reported stays").to.equal(1);
  });

  it("is kept for a message that waits, so that one which the relay recorded is not charged again when its user is mapped", async () => {
    const ada = await rig.person(1_000);
    const [waits, done] = [randomUUID(), randomUUID()];
    for (const id of [waits, done]) expect(await relayed(ada, id)).to.equal("recorded");
    await rig.send(message({ user_id: `stranger-${waits}`, message_id: waits }));
    // It was relayed and charged to nobody the webhook knows; the answer is the relay's event.
    await rig.pool.query("UPDATE dify_events SET state = 'open', reason = 'user_not_found' WHERE message_id = $1", [waits]);
    const { messages } = await forgetMessages(rig.pool, Date.now() + KEPT_MS + 60_000);
    expect(messages).to.be.at.least(1);
    const { rows } = await rig.pool.query("SELECT message_key FROM usage_messages WHERE message_key = ANY ($1::uuid[])", [
      [waits, done].map(difyMessageKey),
    ]);
    expect(rows).to.deep.equal([{ message_key: difyMessageKey(waits) }]);
  });

  it("is forgotten in batches, by several workers at once", async () => {
    await rig.pool.query(
      "INSERT INTO dify_keys (key, event_id) SELECT gen_random_uuid(), '00000000-0001-7000-8000-000000000000' FROM generate_series(1, 12000)",
    );
    await rig.pool.query(
      "INSERT INTO usage_messages (message_key, event_id, event_at, recorded_at) SELECT gen_random_uuid(), gen_random_uuid(), now(), now() - interval '1 year' FROM generate_series(1, 12000)",
    );
    const gone = await Promise.all([forgetMessages(rig.pool), forgetMessages(rig.pool), forgetMessages(rig.pool)]);
    const sum = (of: "keys" | "messages") => gone.reduce((total, one) => total + one[of], 0);
    // One that finds less than a batch because others hold the rest may leave some to the next run.
    const last = await forgetMessages(rig.pool);
    expect([sum("keys") + last.keys, sum("messages") + last.messages]).to.deep.equal([12_000, 12_000]);
  });

  it("has one key in SQL and in the application", async () => {
    for (const id of ["msg_1", "", "ß-中-🦊", randomUUID()]) {
      const { rows } = await rig.pool.query("SELECT dify_message_key($1) AS key", [id]);
      expect(rows).to.deep.equal([{ key: difyMessageKey(id) }]);
    }
  });
});
