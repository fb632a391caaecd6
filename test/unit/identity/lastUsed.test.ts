import { expect } from "chai";
import { createLastUsed } from "../../../src/identity/lastUsed.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import type { Pool } from "../../../src/platform/postgres.ts";

describe("the last uses of keys", () => {
  const log = createLogger({ level: "silent", name: "test" });

  function rig(fail = false) {
    const written: unknown[][] = [];
    const clock = { ms: 1_000_000 };
    const pool = {
      async query(_sql: string, values: unknown[]) {
        if (fail) throw new Error("away");
        written.push(values);
      },
    } as unknown as Pool;
    return { written, clock, lastUsed: createLastUsed({ pool, log, now: () => clock.ms }) };
  }

  it("many uses of many keys are one write, with each key's first use of the minute", async () => {
    const { written, clock, lastUsed } = rig();
    for (let i = 0; i < 1_000; i++) {
      clock.ms += 1;
      lastUsed.note(`key-${i % 3}`, `ip-${i}`);
    }
    await lastUsed.flush();
    expect(written).to.have.length(1);
    expect(written[0]!.slice(0, 3)).to.deep.equal([
      ["key-0", "key-1", "key-2"],
      [1_000_001, 1_000_002, 1_000_003].map((ms) => new Date(ms)),
      ["ip-0", "ip-1", "ip-2"],
    ]);
    lastUsed.note("key-0", "again");
    await lastUsed.flush();
    expect(written).to.have.length(1);
    clock.ms += 60_000;
    lastUsed.note("key-0", "a minute later");
    await lastUsed.flush();
    expect(written[1]![2]).to.deep.equal(["a minute later"]);
  });

  it("nobody is told when the write fails", async () => {
    const { lastUsed } = rig(true);
    lastUsed.note("key", "ip");
    await lastUsed.flush();
  });
});
