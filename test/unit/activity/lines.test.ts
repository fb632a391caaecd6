import { appendFile, mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect } from "chai";
import type { Sink } from "../../../src/activity/index.ts";
import { createLineFiles } from "../../../src/activity/lines/files.ts";
import { createLinesSink, type LinesOptions } from "../../../src/activity/lines/index.ts";
import { readDay } from "../../../src/activity/lines/read.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { waitFor } from "../../support/waitFor.ts";
import { filesOf, signIn, watched, withFolder, type Watched } from "./support.ts";

const DAY = "2026-11-21";
const NOON = new Date(`${DAY}T12:00:00Z`);

function sinkIn(dir: string, seen: Watched, more: Partial<LinesOptions> = {}): Sink {
  const { metrics, log } = seen;
  const size = { maxFileBytes: 1_000_000, maxOpen: 8, maxBytes: 1_000_000_000 };
  return createLinesSink({
    dir,
    name: "test",
    limit: 10_000,
    everyMs: 5,
    keepMs: 30 * 86_400_000,
    ...size,
    metrics,
    log,
    now: () => NOON,
    ...more,
  });
}

describe("the activity log", () => {
  it("keeps one JSON line for each event, in the order they came, in a folder for each user", () =>
    withFolder(async (dir) => {
      const sink = sinkIn(dir, watched());
      const users = [uuidv7(), uuidv7(), uuidv7()];
      for (let n = 0; n < 300; n++) sink.accept(signIn(users[n % 3]!, NOON, n));
      sink.accept(signIn(null, NOON, 300));
      await sink.stop(1_000);
      for (const [i, user] of users.entries()) {
        const events = await readDay(dir, user, DAY);
        expect(events.map((event) => event.request_id)).to.deep.equal(Array.from({ length: 100 }, (_, n) => `request-${n * 3 + i}`));
      }
      expect(await readDay(dir, null, DAY)).to.have.length(1);
    }));

  it("begins another file when one is full, and none is larger than it may be", () =>
    withFolder(async (dir) => {
      const user = uuidv7();
      const sink = sinkIn(dir, watched(), { maxFileBytes: 1_000 });
      for (let n = 0; n < 50; n++) sink.accept(signIn(user, NOON, n));
      await sink.stop(1_000);
      const files = await filesOf(dir, user);
      expect(files.length).to.be.greaterThan(10);
      for (const { text } of files) {
        expect(text.length).to.be.at.most(1_000);
        expect(text.endsWith("\n")).to.equal(true);
      }
      expect(await readDay(dir, user, DAY)).to.have.length(50);
    }));

  it("keeps each day (UTC) in files of its own, by the time of the event and not that of the write", () =>
    withFolder(async (dir) => {
      const user = uuidv7();
      const sink = sinkIn(dir, watched());
      sink.accept(signIn(user, new Date("2026-12-31T23:59:59.999Z"), 1));
      sink.accept(signIn(user, new Date("2027-01-01T00:00:00.000Z"), 2));
      sink.accept(signIn(user, new Date("2026-12-31T23:59:59.999Z"), 3));
      await sink.stop(1_000);
      expect((await filesOf(dir, user)).map(({ name }) => name.slice(0, 10))).to.deep.equal(["2026-12-31", "2027-01-01"]);
      expect((await readDay(dir, user, "2026-12-31")).map(({ request_id }) => request_id)).to.deep.equal(["request-1", "request-3"]);
      expect((await readDay(dir, user, "2027-01-01")).map(({ request_id }) => request_id)).to.deep.equal(["request-2"]);
    }));

  it("goes on in a file that was closed meanwhile, and never has more open than it may", () =>
    withFolder(async (dir) => {
      const files = createLineFiles({ dir, writer: "test-1", maxBytes: 1_000_000, maxOpen: 4 });
      for (let round = 0; round < 3; round++) {
        for (let user = 0; user < 20; user++) {
          expect(await files.add({ folder: `user-${user}`, day: DAY, lines: [`{"round":${round}}\n`] })).to.deep.equal({ lost: 0 });
          await files.tidy();
          expect(files.size).to.be.at.most(4);
        }
      }
      await files.close();
      const rounds = '{"round":0}\n{"round":1}\n{"round":2}\n';
      for (let user = 0; user < 20; user++)
        expect(await filesOf(dir, `user-${user}`)).to.deep.equal([{ name: `${DAY}.test-1.jsonl`, text: rounds }]);
    }));

  it("does not go on behind a line that broke off, and who reads passes over it", () =>
    withFolder(async (dir) => {
      const user = uuidv7();
      const file = path.join(dir, user, `${DAY}.test-1.jsonl`);
      const { json } = signIn(user, NOON, 1);
      await mkdir(path.dirname(file));
      await writeFile(file, `${json}\n`);
      await appendFile(file, json.slice(0, 40));
      const files = createLineFiles({ dir, writer: "test-1", maxBytes: 1_000_000, maxOpen: 4 });
      await files.add({ folder: user, day: DAY, lines: [`${signIn(user, NOON, 2).json}\n`] });
      await files.close();
      expect((await filesOf(dir, user)).map(({ name }) => name)).to.deep.equal([`${DAY}.test-1.2.jsonl`, `${DAY}.test-1.jsonl`]);
      expect((await readDay(dir, user, DAY)).map(({ request_id }) => request_id)).to.have.members(["request-1", "request-2"]);
    }));

  it("drops, counts and says once what cannot be written, and goes on as soon as it can", () =>
    withFolder(async (dir) => {
      const seen = watched();
      const inTheWay = path.join(dir, "log");
      await writeFile(inTheWay, "a file where the folder should be");
      const sink = sinkIn(inTheWay, seen);
      const user = uuidv7();
      for (let n = 0; n < 3; n++) {
        sink.accept(signIn(user, NOON, n));
        await waitFor(async () => (await seen.count('tollkeeper_activity_dropped_total{sink="lines",reason="failed"}')) === n + 1);
      }
      expect(seen.lines.map(({ msg }) => msg)).to.deep.equal(["events cannot be written"]);
      await rm(inTheWay);
      sink.accept(signIn(user, NOON, 9));
      await sink.stop(1_000);
      expect((await readDay(inTheWay, user, DAY)).map(({ request_id }) => request_id)).to.deep.equal(["request-9"]);
      expect(seen.lines.map(({ msg }) => msg)).to.deep.equal(["events cannot be written", "events are written again"]);
    }));

  it("drops and counts what comes while its buffer is full, and what comes after its stop", () =>
    withFolder(async (dir) => {
      const seen = watched();
      const sink = sinkIn(dir, seen, { limit: 100 });
      const user = uuidv7();
      for (let n = 0; n < 150; n++) sink.accept(signIn(user, NOON, n));
      expect(await seen.count('tollkeeper_activity_waiting{sink="lines"}')).to.equal(100);
      await sink.stop(1_000);
      sink.accept(signIn(user, NOON, 200));
      expect(await readDay(dir, user, DAY)).to.have.length(100);
      expect(await seen.count('tollkeeper_activity_dropped_total{sink="lines",reason="full"}')).to.equal(50);
      expect(await seen.count('tollkeeper_activity_dropped_total{sink="lines",reason="stopped"}')).to.equal(1);
      expect(await seen.count('tollkeeper_activity_written_total{sink="lines"}')).to.equal(100);
    }));
});
