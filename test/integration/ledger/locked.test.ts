import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { waitFor } from "../../support/stack.ts";
import { useLedger } from "./support.ts";

const CREDITS = 1_000_000n;
/** Whoever had to wait for the wallet would take as long as the test keeps it. */
const NOT_HELD_UP_MS = 1_500;

describe("holds while somebody keeps a wallet locked", function () {
  this.timeout(30_000);
  const rig = useLedger();

  /** Keeps rows locked until it is told to let go. */
  async function lock(statement: string, values: unknown[]): Promise<() => Promise<void>> {
    const client = await rig.pool.connect();
    await client.query("BEGIN");
    await client.query(statement, values);
    return async () => {
      await client.query("COMMIT");
      client.release();
    };
  }
  const lockWallet = (id: bigint) => lock("SELECT FROM ledger_accounts WHERE id = $1 FOR UPDATE", [id]);

  async function timed<T>(work: Promise<T>): Promise<T> {
    const begun = performance.now();
    const result = await work;
    expect(performance.now() - begun).to.be.below(NOT_HELD_UP_MS);
    return result;
  }

  it("are made on every other wallet at once, and on that one as soon as it is free", async () => {
    const [hot, other] = [await rig.wallet(CREDITS), await rig.wallet(CREDITS)];
    const letGo = await lockWallet(hot);
    const waiting = [];
    for (let n = 0; n < 5; n++) {
      waiting.push(rig.hold(hot, 10n), rig.hold(hot, 10n));
      const [one, two] = await timed(Promise.all([rig.hold(other, 10n), rig.hold(other, 10n)]));
      expect([one.kind, two.kind]).to.deep.equal(["held", "held"]);
    }
    await letGo();
    for (const { kind } of await Promise.all(waiting)) expect(kind).to.equal("held");
    expect((await rig.ledger.balance(hot)).held).to.equal(100n);
    expect((await rig.ledger.balance(other)).held).to.equal(100n);
  });

  it("are refused by that one after 3 seconds, and nothing is held then", async () => {
    const hot = await rig.wallet(CREDITS);
    const letGo = await lockWallet(hot);
    const begun = performance.now();
    const refused = await rig.hold(hot, 10n).then(
      () => undefined,
      (error: unknown) => error,
    );
    const took = performance.now() - begun;
    await letGo();
    expect((refused as { code?: string }).code).to.equal("ETIMEDOUT");
    expect(took).to.be.within(2_900, 4_500);
    expect((await rig.ledger.balance(hot)).held).to.equal(0n);
    expect((await rig.hold(hot, 10n)).kind).to.equal("held");
  });

  it("are released on every other wallet at once, and on that one when it is free, however late", async () => {
    const [hot, other] = [await rig.wallet(CREDITS), await rig.wallet(CREDITS)];
    const [kept, free] = [await rig.hold(hot, 10n), await rig.hold(other, 10n)];
    const together = await rig.hold(other, 10n);
    const letGo = await lockWallet(hot);
    const release = rig.ledger.release([kept.id, together.id]);
    await timed(rig.ledger.release([free.id]));
    expect((await rig.ledger.balance(other)).held).to.equal(0n);
    // It is given up for now, and nobody is told.
    await release;
    await letGo();
    await waitFor(async () => (await rig.ledger.balance(hot)).held === 0n, { timeoutMs: 10_000, message: "the release" });
  });

  it("and a budget that is locked keeps no other's waiting", async () => {
    const [hot, other] = [await rig.wallet(CREDITS), await rig.wallet(CREDITS)];
    const budgets = [{ id: `key:${uuidv7()}`, period: "total", limit: CREDITS }];
    expect((await rig.hold(hot, 10n, { budgets })).kind).to.equal("held");
    const letGo = await lock("SELECT FROM ledger_budgets WHERE id = $1 FOR UPDATE", [budgets[0]!.id]);
    const waiting = rig.hold(hot, 10n, { budgets });
    for (let n = 0; n < 5; n++) expect((await timed(rig.hold(other, 10n))).kind).to.equal("held");
    await letGo();
    expect((await waiting).kind).to.equal("held");
  });
});
