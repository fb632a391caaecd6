import { expect } from "chai";
import { createEngines } from "../../../src/render/index.ts";
import { useStack } from "../../support/stack.ts";
import { prove, request, startRig, type Person, type Rig } from "./rig.ts";

describe("scenes of render tasks", function () {
  this.timeout(90_000);
  const places = useStack({ namespace: true });
  let rig: Rig;
  let ada: Person;

  before(async () => {
    rig = await startRig({ places });
  });
  beforeEach(async () => {
    ada = await rig.person();
  });
  afterEach(() => prove(rig));
  after(() => rig.close());

  const body = (scene: string, more = {}) => request({ engine: "kettle", scene_file_id: scene, ...more });

  it("a scene is looked at on a node before any money is held, once for estimate and task, and brought there once", async () => {
    const scene = rig.files.scene(ada.id, "seconds 0.5");
    const before = rig.files.fetches;
    const estimate = await ada.call<{ seconds: number; estimated_cost: string; notes: string[] }>(
      "POST",
      "/api/tasks/estimate",
      body(scene),
    );
    expect(estimate.data).to.deep.include({ seconds: 1.5, notes: ["a fine kettle"] });
    const task = await ada.task(body(scene));
    expect(task.estimated_cost).to.equal(estimate.data.estimated_cost);
    const done = await ada.until(task, "completed");
    expect(done.cost).to.equal(estimate.data.estimated_cost);
    expect(rig.files.fetches - before).to.equal(1);
  });

  it("a scene that cannot be rendered is 400 with the engine's words, and nothing is held", async () => {
    const scene = rig.files.scene(ada.id, "a teapot");
    for (const path of ["/api/tasks/estimate", "/api/tasks", "/api/tasks"]) {
      const answer = await ada.call("POST", path, body(scene));
      expect([answer.status, answer.message]).to.deep.equal([400, "scene_file_id: is not a kettle"]);
    }
    expect((await ada.balance()).held).to.equal("0");
  });

  it("another person's scene is not there, nor is none at all enough", async () => {
    const scene = rig.files.scene((await rig.person()).id, "seconds 1");
    const answer = await ada.call("POST", "/api/tasks", body(scene));
    expect([answer.status, answer.message]).to.deep.equal([400, "scene_file_id: there is no such file"]);
    const none = await ada.call("POST", "/api/tasks", request({ engine: "kettle" }));
    expect([none.status, none.message]).to.deep.equal([400, "scene_file_id: kettle needs a scene file"]);
  });

  it("names of scenes never become paths", async () => {
    const scene = rig.files.scene(ada.id, "seconds 0", "../../../etc/passwd\u0000.blend/../x.TXT");
    const task = await ada.task(body(scene));
    await ada.until(task, "completed");
  });

  it("an engine that is not offered is refused by its name", async () => {
    expect([...createEngines({ simulate: false }).keys()]).to.deep.equal([]);
    const answer = await ada.call("POST", "/api/tasks", request({ engine: "maya" }));
    expect(answer.message).to.equal("engine: must be one of simulate, kettle");
  });
});
