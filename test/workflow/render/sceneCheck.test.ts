import { expect } from "chai";
import { Worker } from "@temporalio/worker";
import { workflowBundle } from "../../../temporal/bundle.ts";
import { request, startRig, type Rig } from "../../integration/render/rig.ts";
import { saveHistory } from "../../support/histories.ts";
import { useStack } from "../../support/stack.ts";

/** Set to the name of a release, it keeps what ran here for the replay tests. */
const RELEASE = process.env["RECORD_HISTORIES"];

describe("the workflow that looks at a scene", function () {
  this.timeout(60_000);
  const places = useStack({ namespace: true });
  let rig: Rig;
  before(async () => {
    rig = await startRig({ places });
  });
  after(() => rig.close());

  it("answers what the engine says, and is joined by whoever asks the same meanwhile", async () => {
    const ada = await rig.person();
    const scene = rig.files.scene(ada.id, "seconds 1");
    const ask = () => ada.call("POST", "/api/tasks/estimate", request({ engine: "kettle", scene_file_id: scene }));
    const answers = await Promise.all([ask(), ask(), ask()]);
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200]);
    const found = [];
    for await (const one of rig.client.workflow.list({ query: `WorkflowType = "sceneCheck"` })) found.push(one.workflowId);
    const handle = rig.client.workflow.getHandle(found[0]!);
    expect(await handle.result()).to.deep.equal({ kind: "report", report: { secondsPerFrame: 1, notes: ["a fine kettle"] } });
    await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, await handle.fetchHistory(), handle.workflowId);
    if (RELEASE) await saveHistory(handle, "sceneCheck", RELEASE);
  });
});
