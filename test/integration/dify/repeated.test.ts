import { expect } from "chai";
import { standStill } from "../../support/standStill.ts";
import { useStack } from "../../support/stack.ts";
import { message, startDify, type DifyRig, type Person } from "./rig.ts";

const COST = 93_000_000n;
const CREDITS = 10_000;

describe("messages that another copy has taken and not charged yet", function () {
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
  const messageIds = (bodies: readonly ReturnType<typeof message>[]) => bodies.map(({ data }) => String(data["message_id"]));

  /** What a copy does first with messages; then it stands still until it is told to go away. */
  async function frozen(statement: string, values: unknown[]): Promise<() => Promise<void>> {
    const end = await standStill(rig.pool, statement, values);
    return () => end("ROLLBACK");
  }

  const KEYS = "(encode(substr(sha256(convert_to('dify-message:' || id, 'UTF8')), 1, 16), 'hex'))";
  /** The key of src/usage/difyMessage.ts, made by Postgres. */
  const key = `overlay(overlay(${KEYS} PLACING '8' FROM 13 FOR 1) PLACING
    to_hex((('x' || substr(${KEYS}, 17, 1))::bit(4) & B'0011' | B'1000')::integer) FROM 17 FOR 1)::uuid`;
  const WHERE = {
    "taken them": `INSERT INTO dify_keys (key, event_id) SELECT ${key}, gen_random_uuid() FROM unnest($1::text[]) AS q (id)`,
    "recorded them": `INSERT INTO usage_messages (message_key, event_id, event_at) SELECT ${key}, gen_random_uuid(), now() FROM unnest($1::text[]) AS q (id)`,
  };

  for (const [what, statement] of Object.entries(WHERE)) {
    it(`are charged once when it goes away that had ${what}, and hold up nobody else's meanwhile`, async () => {
      const [ada, ben] = [await rig.person(CREDITS), await rig.person(CREDITS)];
      const bodies = Array.from({ length: 20 }, () => bodyOf(ada));
      const goAway = await frozen(statement, [messageIds(bodies)]);
      let answered = 0;
      const waiting = bodies.flatMap((body) => [rig.send(body), rig.send(body)]);
      for (const one of waiting) void one.then(() => (answered += 1));
      const times: number[] = [];
      for (let n = 0; n < 10; n++) {
        const begun = performance.now();
        // The same person's other messages are not held up either.
        const answers = await Promise.all([rig.send(bodyOf(ben)), rig.send(bodyOf(ada))]);
        times.push(performance.now() - begun);
        expect(answers.map(({ status }) => status)).to.deep.equal([200, 200]);
      }
      expect(answered).to.equal(0);
      await goAway();
      for (const { status, body } of await Promise.all(waiting)) expect([status, body.data.pointsDeducted]).to.deep.equal([200, 93]);
      expect([await charged(ada), await charged(ben)]).to.deep.equal([30n * COST, 10n * COST]);
      expect(Math.max(...times)).to.be.below(2_000);
      expect(times.sort((a, b) => a - b)[5]).to.be.below(500);
    });
  }

  it("are answered as before when it only stands still over its second look at them", async () => {
    const ada = await rig.person(CREDITS);
    const body = bodyOf(ada);
    expect((await rig.send(body)).status).to.equal(200);
    const goAway = await frozen("SELECT FROM dify_events WHERE message_id = ANY ($1::text[]) FOR UPDATE", [messageIds([body])]);
    const waiting = rig.send(body);
    expect((await rig.send(bodyOf(ada))).status).to.equal(200);
    await goAway();
    expect((await waiting).body.data.pointsDeducted).to.equal(93);
    expect(await charged(ada)).to.equal(2n * COST);
  });
});
