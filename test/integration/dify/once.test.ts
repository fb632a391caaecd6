import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { difyMessageKey } from "../../../src/usage/index.ts";
import { useStack } from "../../support/stack.ts";
import { eventOf } from "../../support/usage.ts";
import { message, startDify, type Answered, type Deduction, type DifyRig, type Person } from "./rig.ts";

const MICRO = 1_000_000n;
const COST = 93n * MICRO;
/** TEST_SCALE=full: a thousand messages each way. */
const MESSAGES = process.env["TEST_SCALE"] === "full" ? 1_000 : 120;

describe("a message that is relayed and reported", function () {
  this.timeout(180_000);
  const places = useStack();
  let rig: DifyRig;
  let version: bigint;

  before(async () => {
    rig = await startDify(places.databaseUrl);
    await rig.model("gpt-4");
    version = (await rig.pricing.model("gpt-4"))!.price!.id;
  });
  afterEach(async () => {
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
  });
  after(() => rig.close());

  /** What the relay does with a Dify message: hold, and at its end record it, or drop the hold when somebody else was first. */
  async function relay(person: Person, messageId: string, tokens = { input: 1_500, output: 800 }): Promise<"recorded" | "known"> {
    const id = uuidv7();
    const held = await rig.ledger.authorize({ id, walletId: person.walletId, amount: 120n * MICRO, owner: "test", ttlMs: 60_000 });
    expect(held.kind).to.equal("held");
    const outcome = await rig.usage.record(
      eventOf(person, {
        id,
        model: "gpt-4",
        route: "/dify/v1/chat-messages",
        priceVersionId: version,
        tokens: { ...tokens, cachedInput: 0, cacheWrite: 0, reasoning: 0 },
        messageKey: difyMessageKey(messageId),
      }),
    );
    if (outcome === "known") await rig.ledger.release([id]);
    return outcome;
  }
  const report = (person: Person, messageId: string, data: Record<string, unknown> = {}): Promise<Answered<Deduction>> =>
    rig.send(message({ user_id: person.userId, message_id: messageId, ...data }));

  /** The settlement workflow's part, over and over, until nothing waits. */
  async function settleAll(): Promise<void> {
    while ((await rig.settlement.settleBatch(0, 500)).taken > 0);
  }

  async function check(person: Person, credits: bigint, messages: number): Promise<void> {
    await settleAll();
    expect(await rig.balance(person)).to.include({ total: credits * MICRO - BigInt(messages) * COST, held: 0n, shortfall: 0n });
    const { rows } = await rig.pool.query(
      "SELECT count(*)::integer AS charges FROM ledger_settlements WHERE wallet_id = $1 AND charged > 0",
      [person.walletId],
    );
    expect(rows).to.deep.equal([{ charges: messages }]);
  }

  it("costs what the relay counted when the report contradicts itself, in both orders", async () => {
    const ada = await rig.person(1_000);
    const [before, after] = [randomUUID(), randomUUID()];
    expect(await relay(ada, before)).to.equal("recorded");
    expect((await report(ada, before, { total_tokens: 7 })).body.data).to.include({ pointsDeducted: 93 });
    expect((await report(ada, after, { total_tokens: 7 })).body.error?.code).to.equal("validation_failed");
    expect(await relay(ada, after)).to.equal("recorded");
    await check(ada, 1_000n, 2);
  });

  it("first relayed is charged once; the webhook answers with the relay's charge, settling it when that is not done yet", async () => {
    const ada = await rig.person(1_000);
    const [settled, waiting] = [randomUUID(), randomUUID()];
    expect(await relay(ada, settled)).to.equal("recorded");
    await settleAll();
    expect(await relay(ada, waiting)).to.equal("recorded");
    for (const id of [settled, waiting]) {
      const answer = await report(ada, id);
      expect([answer.status, answer.body.data?.pointsDeducted, answer.body.data?.tokensUsed], answer.text).to.deep.equal([200, 93, 2_300]);
      const { body } = await rig.admin("GET", `/api/admin/dify/events/${answer.body.data.consumptionId}`);
      expect(body.data).to.include({ relayed: true, state: "charged", points: "93" });
    }
    await check(ada, 1_000n, 2);
  });

  it("first reported is charged once; the relay's record is refused and its hold is free", async () => {
    const ada = await rig.person(1_000);
    const id = randomUUID();
    expect((await report(ada, id)).status).to.equal(200);
    expect(await relay(ada, id)).to.equal("known");
    await check(ada, 1_000n, 1);
  });

  it("first reported for a user whom nobody knows is the relay's to charge, and the kept event finds that", async () => {
    const ada = await rig.person(1_000);
    const id = randomUUID();
    const stranger = `stranger-${id}`;
    expect((await report(ada, id, { user_id: stranger })).status).to.equal(404);
    expect(await relay(ada, id)).to.equal("recorded");
    const again = await report(ada, id, { user_id: stranger });
    expect(again.body.data.pointsDeducted).to.equal(93);
    await check(ada, 1_000n, 1);
  });

  it("with other tokens than the relay saw is charged by who was first, and reported", async () => {
    const ada = await rig.person(1_000);
    const id = randomUUID();
    await relay(ada, id);
    const answer = await report(ada, id, { input_tokens: 9_000, total_tokens: 9_800 });
    expect(answer.body.data.pointsDeducted).to.equal(93);
    const { rows } = await rig.pool.query(
      "SELECT details ->> 'relayed' AS relayed FROM incidents WHERE user_id = $1 AND kind = 'usage_disagrees'",
      [ada.userId],
    );
    expect(rows.map(({ relayed }) => JSON.parse(relayed))).to.deep.equal([{ input: 1_500, output: 800 }]);
    await check(ada, 1_000n, 1);
  });

  for (const [order, run] of [
    ["relayed, then reported", async (one: () => Promise<unknown>, other: () => Promise<unknown>) => [await one(), await other()]],
    ["reported, then relayed", async (one: () => Promise<unknown>, other: () => Promise<unknown>) => [await other(), await one()]],
    ["both at the same instant", (one: () => Promise<unknown>, other: () => Promise<unknown>) => Promise.all([one(), other()])],
  ] as const) {
    it(`${MESSAGES} messages, ${order}: each is charged once while settlement runs beside it`, async () => {
      const credits = 1_000_000;
      const ada = await rig.person(credits);
      const ids = Array.from({ length: MESSAGES }, () => randomUUID());
      const done = new AbortController();
      const settling = (async () => {
        while (!done.signal.aborted) {
          await rig.settlement.settleBatch(0, 50);
          await delay(5);
        }
      })();
      const answers: Answered<Deduction>[] = [];
      for (let from = 0; from < ids.length; from += 40) {
        await Promise.all(
          ids.slice(from, from + 40).map((id) =>
            run(
              () => relay(ada, id),
              async () => answers.push(await report(ada, id), await report(ada, id)),
            ),
          ),
        );
      }
      done.abort();
      await settling;
      expect(answers.map(({ status, body }) => [status, body.data?.pointsDeducted])).to.deep.equal(answers.map(() => [200, 93]));
      expect(new Set(answers.map(({ body }) => body.data.consumptionId)).size).to.equal(MESSAGES);
      await check(ada, BigInt(credits), MESSAGES);
    });
  }

  for (const first of ["the relay", "the relay, and is settled,", "the webhook"]) {
    it(`and costs more than was held for it owes the rest when ${first} is first, until it is paid`, async () => {
      const ada = await rig.person(500);
      const id = randomUUID();
      const large = { input: 15_000, output: 8_000 };
      const reported = { input_tokens: 15_000, output_tokens: 8_000, total_tokens: 23_000 };
      let answer: Answered<Deduction> | undefined;
      if (first === "the webhook") answer = await report(ada, id, reported);
      else {
        expect(await relay(ada, id, large)).to.equal("recorded");
        if (first.includes("settled")) await settleAll();
        answer = await report(ada, id, reported);
      }
      expect([answer.status, answer.body.error?.code]).to.deep.equal([402, "insufficient_balance"]);
      expect(answer.body.error!.details).to.include({ pointsDeducted: 500, tokensUsed: 23_000, shortfall: "430" });
      await settleAll();
      expect(await rig.balance(ada)).to.include({ total: 0n, held: 0n, shortfall: 430n * MICRO });
      const { rows } = await rig.pool.query("SELECT cost, uncharged FROM usage_events WHERE wallet_id = $1", [ada.walletId]);
      expect(rows).to.deep.equal([{ cost: 930n * MICRO, uncharged: 0n }]);
      const events = async () =>
        (
          await rig.admin<{ items: { state: string; points: string; shortfall: string; shortfall_open: string }[] }>(
            "GET",
            `/api/admin/dify/events?message_id=${id}`,
          )
        ).body.data.items;
      expect((await events())[0]).to.include({ state: "open", points: "930", shortfall: "430", shortfall_open: "430" });
      await rig.credit(ada, 1_000);
      await rig.sweep();
      expect((await events())[0]).to.include({ state: "charged", shortfall_open: "0" });
      expect(await rig.balance(ada)).to.include({ total: 570n * MICRO, shortfall: 0n });
    });
  }
});
