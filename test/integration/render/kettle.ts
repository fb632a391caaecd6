import { readFile } from "node:fs/promises";
import { SceneRefused, type RenderEngine } from "../../../src/render/engines/engine.ts";
import { createSimulate } from "../../../src/render/engines/simulate/index.ts";

/** An engine that needs a scene: a text that says how many seconds a frame takes. */
export function createKettle(): RenderEngine {
  const simulate = createSimulate();
  return {
    name: "kettle",
    formats: ["png"],
    needsScene: true,
    async check(scene) {
      const text = await readFile(scene!.path, "utf8");
      const seconds = /^seconds (\d+(?:\.\d+)?)$/.exec(text.trim())?.[1];
      if (seconds === undefined) throw new SceneRefused("is not a kettle");
      return { secondsPerFrame: Number(seconds), notes: ["a fine kettle"] };
    },
    async render(job, hooks) {
      const text = await readFile(job.scenePath!, "utf8");
      const settings = { seconds_per_frame: Number(text.trim().split(" ")[1]) };
      return simulate.render({ ...job, settings }, hooks);
    },
  };
}
