import { expect } from "chai";
import { readFileSync } from "node:fs";
import path from "node:path";
import { projectRoot } from "../../../src/platform/root.ts";
import { rewardSettings } from "../../../src/rewards/index.ts";

describe("docs/settings.md", () => {
  it("names every live setting, and no others", () => {
    const text = readFileSync(path.join(projectRoot, "docs/settings.md"), "utf8");
    const rows = text.split("\n").filter((row) => row.startsWith("| `"));
    const named = rows.flatMap((row) => [...row.split("|")[1]!.matchAll(/`([a-z_.]+)`/g)].map(([, key]) => key));
    const declared = rewardSettings.flatMap((group) => Object.values(group).map(({ key }) => key));
    expect(named.sort()).to.deep.equal(declared.sort());
  });
});
