import { expect } from "chai";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { ERROR_CODES } from "../../../src/platform/errors.ts";
import { projectRoot } from "../../../src/platform/root.ts";

describe("docs/errors.md", () => {
  it("lists exactly the codes that clients can meet", async () => {
    const text = await readFile(path.join(projectRoot, "docs", "errors.md"), "utf8");
    const rows = [...text.matchAll(/^\| `(\w+)` \| (\d+) \| (.+) \|$/gm)].map((match) => [match[1], Number(match[2]), match[3]]);
    const expected = Object.entries(ERROR_CODES).map(([code, { status, message }]) => [code, status, message]);
    expect(rows).to.deep.equal(expected);
  });
});
