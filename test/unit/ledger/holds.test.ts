import { mock } from "node:test";
import { expect } from "chai";
import { createHolds } from "../../../src/ledger/holds.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { isConnectionError, type Pool } from "../../../src/platform/postgres.ts";

const SECOND = 1_000;

describe("holding credit while Postgres hangs", () => {
  beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"] }));
  afterEach(() => mock.timers.reset());

  /** When the caller was refused, in seconds from asking, and with what. */
  async function refusal(query: () => Promise<never>): Promise<{ after: number; error: unknown }> {
    const log = createLogger({ level: "silent", name: "test" });
    const holds = createHolds({ pool: { query } as unknown as Pool, log, spentSince: undefined });
    const started = Date.now();
    const outcomes: { after: number; error: unknown }[] = [];
    holds.authorize({ id: uuidv7(), walletId: 1n, amount: 1n, owner: "test", ttlMs: SECOND }).catch((error: unknown) => {
      outcomes.push({ after: (Date.now() - started) / SECOND, error });
    });
    for (let i = 0; i < 200 && outcomes.length === 0; i++) {
      await new Promise(setImmediate);
      mock.timers.tick(SECOND / 10);
    }
    const [outcome] = outcomes;
    if (!outcome) throw new Error("nobody answered for 20 s");
    return outcome;
  }

  it("the caller is refused after 3 seconds", async () => {
    const { after, error } = await refusal(() => new Promise<never>(() => undefined));
    expect(after).to.be.within(2.9, 3.3);
    expect(isConnectionError(error)).to.equal(true);
  });

  it("the second attempt gets only what the first has left", async () => {
    let attempts = 0;
    const { after } = await refusal(() => {
      if (++attempts > 1) return new Promise<never>(() => undefined);
      return new Promise<never>((_, reject) => {
        setTimeout(() => reject(Object.assign(new Error("reset"), { code: "ECONNRESET" })), 2 * SECOND);
      });
    });
    expect(attempts).to.equal(2);
    expect(after).to.be.within(2.9, 3.3);
  });
});
