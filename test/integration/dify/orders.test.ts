import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { difyMessageKey, difyUser } from "../../../src/usage/index.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { eventOf } from "../../support/usage.ts";
import { message, startDify, type DifyRig, type Person } from "./rig.ts";

const MICRO = 1_000_000n;
const COST = 93n * MICRO;
const HELD = 120n * MICRO;
const TOKENS = { input: 1_500, output: 800, cachedInput: 0, cacheWrite: 0, reasoning: 0 };
const PERIOD = "qr:2099-12-31T16:00Z";
const DAY_MS = 86_400_000;

/** Every order in which a relayed message can be noted, recorded, waived and reported, with processes that die in between. */
describe("a relayed message and its report, in every order", function () {
  this.timeout(60_000);
  const places = useStack();
  let rig: DifyRig;
  let version: bigint;
  let ada: Person;
  let keyId: string;
  let call: string;
  let id: string;
  let startedAt: Date;

  before(async () => {
    rig = await startDify(places.databaseUrl);
    await rig.model("gpt-4");
    version = (await rig.pricing.model("gpt-4"))!.price!.id;
  });
  beforeEach(async () => {
    // As much as one call holds: whatever goes wrong shows as a shortfall.
    ada = await rig.person(Number(HELD / MICRO));
    [keyId, call, id, startedAt] = [uuidv7(), uuidv7(), randomUUID(), new Date()];
  });
  afterEach(async () => expect((await rig.ledger.verify()).differences).to.deep.equal([]));
  after(() => rig.close());

  const budget = () => ({ id: `key:${keyId}`, period: PERIOD, limit: 300n, unit: "requests" as const });
  const hold = async () => {
    const { kind } = await rig.ledger.authorize({
      id: call,
      walletId: ada.walletId,
      amount: HELD,
      budgets: [budget()],
      counts: { requests: 100n, tokens: 400_000n },
      owner: "test",
      ttlMs: 60_000,
    });
    expect(kind).to.equal("held");
  };
  const note = () =>
    rig.usage.noteMessage({
      messageKey: difyMessageKey(id),
      callId: call,
      calledAt: startedAt,
      userId: ada.userId,
      walletId: ada.walletId,
      keyId,
      tokenId: null,
      model: "gpt-4",
      providerId: null,
      providerName: "test",
      priceVersionId: version,
      priceMultiplier: 1_000_000,
      quotaWeight: 100,
    });
  /** What the relay does at the end of the call. */
  async function record(): Promise<"recorded" | "known"> {
    const outcome = await rig.usage.record(
      eventOf(ada, {
        id: call,
        keyId,
        model: "gpt-4",
        route: "/dify/v1/chat-messages",
        priceVersionId: version,
        startedAt,
        tokens: TOKENS,
        messageKey: difyMessageKey(id),
      }),
    );
    if (outcome === "known") await rig.ledger.release([call]);
    return outcome;
  }
  async function fail(): Promise<void> {
    await rig.usage.waiveMessage({ messageKey: difyMessageKey(id), callId: call, calledAt: startedAt });
    await rig.ledger.release([call]);
  }
  const report = (model = "whatever") => rig.send(message({ user_id: difyUser(ada.userId, undefined), message_id: id, model_name: model }));
  /** A report of it has come, and nobody was charged. */
  const kept = () =>
    waitFor(async () => (await rig.pool.query("SELECT FROM dify_events WHERE message_id = $1 AND charged_at IS NULL", [id])).rowCount, {
      timeoutMs: 3_000,
      message: "the report",
    });
  const expire = () => rig.ledger.sweep(new Date(Date.now() + DAY_MS));
  const told = ({ status, body }: Awaited<ReturnType<typeof report>>): unknown[] => [status, body.error?.code ?? body.data.pointsDeducted];

  /** When all is settled: what was taken in all, what is owed and held, and what the key's quota of requests counted, in hundredths. */
  async function standing() {
    while ((await rig.settlement.settleBatch(0, 500)).taken > 0);
    const { total, held, shortfall } = await rig.balance(ada);
    const [counter] = await rig.ledger.budgets([budget()]);
    return { taken: HELD - total, held, shortfall, counted: counter!.spent, counting: counter!.held };
  }
  const ONCE = { taken: COST, held: 0n, shortfall: 0n, counted: 100n, counting: 0n };

  it("noted, reported, recorded", async () => {
    await hold();
    await note();
    expect(told(await report())).to.deep.equal([200, 93]);
    expect(await record()).to.equal("known");
    expect(await standing()).to.deep.equal(ONCE);
    const { rows } = await rig.pool.query("SELECT key_id, model FROM usage_events WHERE user_id = $1 AND cost > 0", [ada.userId]);
    expect(rows).to.deep.equal([{ key_id: keyId, model: "gpt-4" }]);
  });

  it("noted, recorded, reported", async () => {
    await hold();
    await note();
    expect(await record()).to.equal("recorded");
    expect(told(await report())).to.deep.equal([200, 93]);
    expect(await standing()).to.deep.equal(ONCE);
  });

  it("noted, recorded and reported at the same instant", async () => {
    await hold();
    await note();
    const [, answer] = await Promise.all([record(), report()]);
    expect(told(answer)).to.deep.equal([200, 93]);
    expect(await standing()).to.deep.equal(ONCE);
  });

  it("reported, and noted only then: the report waits for it", async () => {
    await hold();
    const reported = report();
    await kept();
    await note();
    expect(told(await reported)).to.deep.equal([200, 93]);
    expect(await record()).to.equal("known");
    expect(await standing()).to.deep.equal(ONCE);
  });

  it("reported twice at once before it is noted: both get the one charge", async () => {
    await hold();
    const reported = Promise.all([report(), report()]);
    await kept();
    await note();
    expect((await reported).map(told)).to.deep.equal([
      [200, 93],
      [200, 93],
    ]);
    expect(await standing()).to.deep.equal(ONCE);
  });

  it("reported, never noted, recorded later: the report stays open and is closed by itself", async () => {
    await hold();
    expect(told(await report())).to.deep.equal([409, "conflict"]);
    expect(await rig.balance(ada)).to.include({ total: HELD, held: HELD, shortfall: 0n });
    expect(await record()).to.equal("recorded");
    expect((await rig.sweep()).charged).to.equal(1);
    expect(told(await report())).to.deep.equal([200, 93]);
    expect(await standing()).to.deep.equal(ONCE);
  });

  it("reported, never noted, its process dead: charged by itself when its hold has expired, without owing", async () => {
    await hold();
    expect(told(await report("gpt-4"))).to.deep.equal([409, "conflict"]);
    await expire();
    expect((await rig.sweep()).charged).to.equal(1);
    expect(told(await report("gpt-4"))).to.deep.equal([200, 93]);
    // Which key it was nobody knows any more.
    expect(await standing()).to.deep.equal({ ...ONCE, counted: 0n });
  });

  it("noted, its process dead, reported while the hold is open: charged against it", async () => {
    await hold();
    await note();
    expect(told(await report())).to.deep.equal([200, 93]);
    expect((await expire()).length).to.equal(0);
    expect(await standing()).to.deep.equal(ONCE);
  });

  it("noted, its process dead, the hold expired, and then reported: charged and counted once", async () => {
    await hold();
    await note();
    expect((await expire()).map((swept) => swept.id)).to.include(call);
    expect(told(await report())).to.deep.equal([200, 93]);
    expect(await standing()).to.deep.equal(ONCE);
  });

  it("noted, its hold expired and the wallet spent meanwhile: it takes what there is and owes the rest", async () => {
    await hold();
    await note();
    await expire();
    await rig.ledger.debit(rig.pool, {
      id: uuidv7(),
      walletId: ada.walletId,
      amount: 100n * MICRO,
      to: "adjustments",
      type: "ADMIN",
      description: "spent",
    });
    expect(told(await report())).to.deep.equal([402, "insufficient_balance"]);
    expect(await standing()).to.deep.equal({ ...ONCE, taken: HELD, shortfall: 73n * MICRO });
  });

  it("failed for the relay's client, and then reported: free, as the relay said", async () => {
    await hold();
    await note();
    await fail();
    expect(told(await report())).to.deep.equal([200, 0]);
    expect(told(await report())).to.deep.equal([200, 0]);
    expect(await standing()).to.deep.equal({ ...ONCE, taken: 0n, counted: 0n });
  });

  it("reported, and then failed for the relay's client: its tokens were spent, and it stays charged", async () => {
    await hold();
    await note();
    expect(told(await report())).to.deep.equal([200, 93]);
    await fail();
    expect(told(await report())).to.deep.equal([200, 93]);
    expect(await standing()).to.deep.equal(ONCE);
  });

  it("failed and reported at the same instant: free or charged, but the same for both and once", async () => {
    await hold();
    await note();
    const [answer] = await Promise.all([report(), fail()]);
    const [status, points] = told(answer);
    expect([status, points === 0 || points === 93]).to.deep.equal([200, true]);
    expect(await standing()).to.deep.equal(points === 93 ? ONCE : { ...ONCE, taken: 0n, counted: 0n });
  });
});
