import path from "node:path";
import { expect } from "chai";
import fc from "fast-check";
import { dayOf, fileName, folderOf } from "../../../src/activity/lines/names.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";

/** What people have tried to name themselves. */
const NASTY = [
  "",
  ".",
  "..",
  "../../etc/passwd",
  "..\\..\\windows",
  "/",
  "a/b",
  "a\0b",
  "con",
  "CON",
  "nul.txt",
  "com1",
  "-rf",
  "_nobody",
  "ada",
  "Ada",
  "ADA",
  "ada ",
  " ada",
  "ada.",
  "a".repeat(5_000),
  "名前",
  "e\u0301",
  "\u00e9",
  "\ud800",
  "\udfff",
  "$(reboot)",
  "`id`",
  "a\nb",
  "%2e%2e%2f",
  "~",
  "u~ada~0",
];

/** A name that no file system, shell or tool takes for anything but a name. */
function expectHarmless(folder: string): void {
  expect(folder).to.match(/^[a-z0-9_][a-z0-9_~-]*$/);
  expect(folder.length).to.be.within(1, 100);
  expect(path.resolve("/activity", folder)).to.equal(`/activity/${folder}`);
  expect(["con", "nul", "aux", "prn", "com1", "lpt1"]).not.to.include(folder);
}

describe("the folder of a user's activity", () => {
  it("is the id itself for the ids we make", () => {
    const id = uuidv7();
    expect(folderOf(id)).to.equal(id);
  });

  it("is harmless and another one for each name that somebody might come with", () => {
    const folders = NASTY.map(folderOf);
    for (const folder of folders) expectHarmless(folder);
    expect(new Set(folders.map((folder) => folder.toLowerCase())).size).to.equal(NASTY.length);
    expect(folders).not.to.include(folderOf(null));
  });

  it("is harmless and tells apart whatever text is an id", () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), fc.constantFrom(...NASTY));
    fc.assert(
      fc.property(text, text, (one, other) => {
        expectHarmless(folderOf(one));
        expect(folderOf(one) === folderOf(other)).to.equal(one === other);
        expect(folderOf(one)).not.to.equal(folderOf(null));
      }),
      { numRuns: 2_000 },
    );
  });

  it("holds files whose names say their day, and no other file is taken for one", () => {
    expect(dayOf(fileName("2026-11-21", "api-1", 1))).to.equal("2026-11-21");
    expect(dayOf(fileName("2026-11-21", "api-1", 12))).to.equal("2026-11-21");
    for (const name of ["notes.txt", "2026-11-21.jsonl.bak", "x2026-11-21.api.jsonl", "2026-11-21.A.jsonl"])
      expect(dayOf(name)).to.equal(undefined);
  });
});
