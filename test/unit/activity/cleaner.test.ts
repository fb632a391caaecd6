import { mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect } from "chai";
import { clean } from "../../../src/activity/lines/cleaner.ts";
import { withFolder } from "./support.ts";

const DAY_MS = 86_400_000;
const NOW = new Date("2026-11-21T12:00:00Z");
const daysAgo = (days: number): string => new Date(NOW.getTime() - days * DAY_MS).toISOString().slice(0, 10);

async function put(dir: string, folder: string, name: string, bytes: number): Promise<void> {
  await mkdir(path.join(dir, folder), { recursive: true });
  await writeFile(path.join(dir, folder, name), "x".repeat(bytes));
}

const all = async (dir: string): Promise<string[]> =>
  (await readdir(dir, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)))
    .sort();

describe("cleaning the activity log", () => {
  it("removes days that are too old, folders that are left empty, and nothing that is not its own", () =>
    withFolder(async (dir) => {
      await put(dir, "ada", `${daysAgo(31)}.api-1.jsonl`, 10);
      await put(dir, "ada", `${daysAgo(31)}.api-1.2.jsonl`, 10);
      await put(dir, "ada", `${daysAgo(2)}.api-1.jsonl`, 10);
      await put(dir, "bob", `${daysAgo(40)}.api-1.jsonl`, 10);
      await put(dir, "notes", `${daysAgo(400)}.txt`, 10);
      const result = await clean({ dir, keepMs: 30 * DAY_MS, maxBytes: 1_000, now: NOW });
      expect(result).to.deep.equal({ removed: 3, bytes: 10 });
      expect(await all(dir)).to.deep.equal([`ada/${daysAgo(2)}.api-1.jsonl`, `notes/${daysAgo(400)}.txt`]);
      expect(await readdir(dir)).to.have.members(["ada", "notes"]);
    }));

  it("removes the oldest days until all files together are small enough, but never today's", () =>
    withFolder(async (dir) => {
      for (const days of [0, 1, 2, 3]) for (const user of ["ada", "bob"]) await put(dir, user, `${daysAgo(days)}.api-1.jsonl`, 100);
      expect(await clean({ dir, keepMs: 30 * DAY_MS, maxBytes: 450, now: NOW })).to.deep.equal({ removed: 4, bytes: 400 });
      expect((await all(dir)).map((name) => name.slice(4, 14))).to.deep.equal([daysAgo(1), daysAgo(0), daysAgo(1), daysAgo(0)]);
      expect(await clean({ dir, keepMs: 30 * DAY_MS, maxBytes: 50, now: NOW })).to.deep.equal({ removed: 2, bytes: 200 });
    }));

  it("of a folder that is not there has nothing to do", () =>
    withFolder(async (dir) => {
      expect(await clean({ dir: path.join(dir, "none"), keepMs: DAY_MS, maxBytes: 1, now: NOW })).to.deep.equal({ removed: 0, bytes: 0 });
    }));
});
