import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { useStack } from "../../support/stack.ts";
import { standStill } from "../../support/standStill.ts";
import { usageRig, type UsageRig } from "../../support/usage.ts";

/** Whoever had to wait for the message would take as long as the test keeps it. */
const NOT_HELD_UP_MS = 1_500;

describe("recording calls of messages that somebody else is just recording", function () {
  this.timeout(60_000);
  const places = useStack();
  let rig: UsageRig;
  before(() => {
    rig = usageRig({ url: places.databaseUrl });
  });
  after(() => rig.close());

  /** Claims messages and stands still until it is told to go on. */
  const claim = (keys: readonly string[]) =>
    standStill(
      rig.pool,
      "INSERT INTO usage_messages (message_key, event_id, event_at) SELECT unnest($1::uuid[]), gen_random_uuid(), now()",
      [keys],
    );

  it("keeps no other call waiting, of a message or of none, and each is recorded when it can be, or charged elsewhere", async () => {
    const owner = await rig.wallet(100_000);
    const [left, taken] = [randomUUID(), randomUUID()];
    const [goBack, goOn] = [await claim([left]), await claim([taken])];
    const record = async (messageKey: string | null, countedTokens?: number) =>
      rig.usage.record(await rig.call(owner, { messageKey, ...(countedTokens === undefined ? {} : { countedTokens }) }));
    const waiting: Promise<string>[] = [];
    const begun = performance.now();
    for (let n = 0; n < 5; n++) {
      if (n === 0) waiting.push(record(left, 7), record(taken));
      else waiting.push(record(taken, 7));
      const others = await Promise.all([record(null), record(null, 7), record(randomUUID()), record(randomUUID(), 7)]);
      expect(others).to.deep.equal(["recorded", "recorded", "recorded", "recorded"]);
    }
    expect(performance.now() - begun).to.be.below(NOT_HELD_UP_MS);
    await goBack("ROLLBACK");
    await goOn("COMMIT");
    expect(await Promise.all(waiting)).to.deep.equal(["recorded", "known", "known", "known", "known", "known"]);
  });

  it("halves no batch for long: two hundred that are taken keep one that is not waiting for less than a second", async () => {
    const owner = await rig.wallet(100_000);
    const taken = Array.from({ length: 200 }, () => randomUUID());
    const goOn = await claim(taken);
    const events = await Promise.all([...taken, randomUUID()].map((messageKey) => rig.call(owner, { messageKey })));
    const begun = performance.now();
    const answers = events.map((event) => rig.usage.record(event));
    expect(await answers.at(-1)).to.equal("recorded");
    expect(performance.now() - begun).to.be.below(NOT_HELD_UP_MS);
    await goOn("COMMIT");
    expect(new Set(await Promise.all(answers.slice(0, -1)))).to.deep.equal(new Set(["known"]));
  });
});
