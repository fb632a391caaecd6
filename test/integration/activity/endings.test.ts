import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { readDay } from "../../../src/activity/lines/read.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { waitFor } from "../../support/waitFor.ts";
import { filesOf, withFolder } from "../../unit/activity/support.ts";

interface Told {
  told: number;
  at: number;
}

interface Writer {
  child: ChildProcess;
  /** What it said, newest last. */
  said: Told[];
  ended: Promise<void>;
}

/** An event waits so long at most; a busy machine may take as long again to write it. */
const WAIT_MS = 100;
const SLACK_MS = 100;

function startWriter(dir: string, user: string): Writer {
  const child = fork(fileURLToPath(new URL("./writer.process.js", import.meta.url)), [dir, user]);
  const said: Told[] = [];
  child.on("message", (message) => void said.push(message as Told));
  return { child, said, ended: new Promise((resolve) => child.once("exit", () => resolve())) };
}

const today = (): string => new Date().toISOString().slice(0, 10);

/** The numbers of the events of one process that are in its user's files. */
async function writtenBy(dir: string, user: string, pid: number, days: string[]): Promise<Set<number>> {
  const events = (await Promise.all(days.map((day) => readDay(dir, user, day)))).flat();
  const own = events.filter(({ request_id }) => request_id!.startsWith(`${pid}-`));
  return new Set(own.map(({ request_id }) => Number(request_id!.slice(`${pid}-`.length))));
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

describe("the activity log of a process that ends", () => {
  it("has lost nothing after SIGTERM", () =>
    withFolder(async (dir) => {
      const user = uuidv7();
      const begun = today();
      const { child, said, ended } = startWriter(dir, user);
      await waitFor(() => (said.at(-1)?.told ?? 0) > 1_000);
      child.kill("SIGTERM");
      await ended;
      expect([...(await writtenBy(dir, user, child.pid!, [...new Set([begun, today()])]))]).to.have.members(upTo(said.at(-1)!.told));
    }));

  it("has lost at most the last moment after kill -9, and those that come after it can read and write on", () =>
    withFolder(async (dir) => {
      const user = uuidv7();
      const begun = today();
      const first = startWriter(dir, user);
      await waitFor(() => (first.said.at(-1)?.told ?? 0) > 2_000);
      const killed = Date.now();
      first.child.kill("SIGKILL");
      await first.ended;
      const safe = first.said.findLast(({ at }) => at < killed - WAIT_MS - SLACK_MS)!.told;
      const second = startWriter(dir, user);
      await waitFor(() => (second.said.at(-1)?.told ?? 0) > 500);
      second.child.kill("SIGTERM");
      await second.ended;
      const days = [...new Set([begun, today()])];
      const kept = await writtenBy(dir, user, first.child.pid!, days);
      expect(safe).to.be.greaterThan(500);
      expect([...kept]).to.include.members(upTo(safe));
      expect([...(await writtenBy(dir, user, second.child.pid!, days))]).to.have.members(upTo(second.said.at(-1)!.told));
    }));

  it("never mixes its lines with those of another process that writes for the same user", () =>
    withFolder(async (dir) => {
      const user = uuidv7();
      const begun = today();
      const writers = [startWriter(dir, user), startWriter(dir, user), startWriter(dir, user)];
      await waitFor(() => writers.every(({ said }) => (said.at(-1)?.told ?? 0) > 1_000));
      for (const { child } of writers) child.kill("SIGTERM");
      await Promise.all(writers.map(({ ended }) => ended));
      const files = await filesOf(dir, user);
      for (const { text } of files) {
        const pids = new Set(
          text
            .trimEnd()
            .split("\n")
            .map((line) => (JSON.parse(line) as { request_id: string }).request_id.split("-")[0]),
        );
        expect(pids.size).to.equal(1);
      }
      for (const { child, said } of writers)
        expect([...(await writtenBy(dir, user, child.pid!, [...new Set([begun, today()])]))]).to.have.members(upTo(said.at(-1)!.told));
    }));
});
