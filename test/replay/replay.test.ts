import { Worker } from "@temporalio/worker";
import { expect } from "chai";
import { installRuntime } from "../../src/main/worker-runtime.ts";
import { workflowBundle, type WorkflowBundle } from "../../temporal/bundle.ts";
import * as workflows from "../../workflows/index.ts";
import { historyNames, readHistory } from "../support/histories.ts";
import { silent } from "../support/usage.ts";

describe("runs begun by earlier releases", () => {
  let bundle: WorkflowBundle;
  before(async () => {
    installRuntime(silent);
    bundle = await workflowBundle();
  });

  for (const name of historyNames()) {
    it(`go on under this code: ${name}`, async () => {
      await Worker.runReplayHistory({ workflowBundle: bundle }, readHistory(name).history);
    });
  }

  it("every workflow has a recorded history", () => {
    const recorded = new Set(historyNames().map((name) => readHistory(name).workflowType));
    expect(Object.keys(workflows).filter((type) => !recorded.has(type))).to.deep.equal([]);
  });

  it("a history that the code does not follow is found out", async () => {
    const { history } = readHistory(historyNames().find((name) => name.startsWith("holdSweep"))!);
    const scheduled = history.events.find((event) => event.activityTaskScheduledEventAttributes);
    scheduled!.activityTaskScheduledEventAttributes!.activityType = { name: "somethingElse" };
    const failure = await Worker.runReplayHistory({ workflowBundle: bundle }, history).catch((error: Error) => error);
    expect(failure).to.be.instanceOf(Error);
  });
});
