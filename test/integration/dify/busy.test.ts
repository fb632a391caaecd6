import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { signed } from "../../support/dify.ts";
import { standStill } from "../../support/standStill.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { message, startDify, type DifyRig, type Person } from "./rig.ts";

const COST = 93_000_000n;
const CREDITS = 10_000;

describe("messages of a wallet that somebody keeps locked", function () {
  this.timeout(60_000);
  const places = useStack();
  let rig: DifyRig;
  before(async () => {
    rig = await startDify(places.databaseUrl);
    await rig.model("gpt-4");
  });
  after(async () => {
    const proof = await rig.ledger.verify();
    await rig.close();
    expect(proof.differences).to.deep.equal([]);
  });

  const bodyOf = ({ userId }: Person) => message({ user_id: userId, model_name: "gpt-4" });
  const charged = ({ walletId }: Person) => rig.ledger.balance(walletId).then(({ total }) => BigInt(CREDITS) * 1_000_000n - total);

  /** Keeps a wallet locked until it is told to let go. */
  async function lock({ walletId }: Person): Promise<() => Promise<void>> {
    const end = await standStill(rig.pool, "SELECT FROM ledger_accounts WHERE id = $1 FOR UPDATE", [walletId]);
    return () => end("COMMIT");
  }

  it("hold up nobody else's, and are charged once each as soon as it is free", async () => {
    const [hot, other] = [await rig.person(CREDITS), await rig.person(CREDITS)];
    const letGo = await lock(hot);
    const waiting: ReturnType<DifyRig["send"]>[] = [];
    const times: number[] = [];
    for (let n = 0; n < 10; n++) {
      const body = bodyOf(hot);
      waiting.push(rig.send(body), rig.send(body));
      const begun = performance.now();
      expect((await rig.send(bodyOf(other))).status).to.equal(200);
      times.push(performance.now() - begun);
    }
    await letGo();
    for (const { status, body } of await Promise.all(waiting)) expect([status, body.data.pointsDeducted]).to.deep.equal([200, 93]);
    expect([await charged(hot), await charged(other)]).to.deep.equal([10n * COST, 10n * COST]);
    // The first of them finds out that the wallet is busy; whoever comes later waits for nothing.
    expect(Math.max(...times)).to.be.below(2_000);
    expect(times.sort((a, b) => a - b)[5]).to.be.below(500);
  });

  it("are told to come again when it stays locked, and charged once when they do", async () => {
    const hot = await rig.person(CREDITS);
    const letGo = await lock(hot);
    const body = bodyOf(hot);
    const { status, body: said } = await rig.send(body);
    expect([status, said.error?.code]).to.deep.equal([503, "unavailable"]);
    await letGo();
    expect((await rig.send(body)).body.data.pointsDeducted).to.equal(93);
    expect(await charged(hot)).to.equal(COST);
  });

  it("are refused at once with 503 when too many wait, as is everybody then; nothing is lost or charged twice", async () => {
    const [hot, other] = [await rig.person(CREDITS * 30), await rig.person(CREDITS)];
    const letGo = await lock(hot);
    const delivery = (n: number) => ({
      traceId: "t",
      receivedAt: new Date(),
      startMs: performance.now(),
      message: {
        requestId: `full-${n}-${uuidv7()}`,
        messageId: `full-${n}-${uuidv7()}`,
        conversationId: "",
        user: hot.userId,
        model: "gpt-4",
        inputTokens: 1_500,
        outputTokens: 800,
        totalTokens: 2_300,
        at: new Date(),
      },
    });
    const deliveries = Array.from({ length: 2_000 }, (_, n) => delivery(n));
    const waiting = Promise.allSettled(deliveries.map((one) => rig.webhook.intake.take(one)));
    const refused = await waitFor(
      async () => {
        const raw = JSON.stringify(bodyOf(other));
        const answer = await fetch(`${rig.url}/api/dify/webhook`, { method: "POST", headers: signed(raw), body: raw });
        return answer.status === 503 ? answer : undefined;
      },
      { timeoutMs: 5_000, message: "a refusal" },
    );
    expect(Number(refused.headers.get("retry-after"))).to.be.above(0);
    expect(((await refused.json()) as { error: { code: string } }).error.code).to.equal("unavailable");
    await letGo();
    const outcomes = await waiting;
    // Those whose turn did not come in time are sent again.
    await Promise.all(deliveries.filter((_, n) => outcomes[n]!.status === "rejected").map((one) => rig.webhook.intake.take(one)));
    expect(BigInt(CREDITS * 30) * 1_000_000n - (await rig.balance(hot)).total).to.equal(2_000n * COST);
    expect((await rig.send(bodyOf(other))).status).to.equal(200);
  });
});
