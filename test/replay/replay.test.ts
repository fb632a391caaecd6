import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { Worker } from "@temporalio/worker";
import { expect } from "chai";
import { projectRoot } from "../../src/platform/root.ts";
import { workflowBundle, type WorkflowBundle } from "../../temporal/bundle.ts";
import * as workflows from "../../workflows/index.ts";

interface RecordedHistory {
  events: { workflowExecutionStartedEventAttributes?: { workflowType?: { name?: string } } }[];
}

const folder = path.join(projectRoot, "test/replay/histories");
const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(".json")) : [];
const read = (file: string) => JSON.parse(readFileSync(path.join(folder, file), "utf8")) as RecordedHistory;
const typeOf = (history: RecordedHistory) => history.events[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name;

describe("runs begun by earlier releases", () => {
  let bundle: WorkflowBundle;
  before(async () => {
    bundle = await workflowBundle();
  });

  for (const file of files) {
    it(`go on under this code: ${file.replace(".json", "")}`, async () => {
      await Worker.runReplayHistory({ workflowBundle: bundle }, read(file));
    });
  }

  it("every workflow has a recorded history", () => {
    const recorded = new Set(files.map((file) => typeOf(read(file))));
    const missing = Object.keys(workflows).filter((name) => !recorded.has(name));
    expect(missing).to.deep.equal([]);
  });
});
