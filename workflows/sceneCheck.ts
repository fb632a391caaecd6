import type { Priority } from "@temporalio/common";
import { proxyActivities, setCurrentDetails } from "@temporalio/workflow";
import type { NodeActivities } from "../activities/render.ts";
import { CHECK_SCENE } from "./timeouts.ts";

export interface SceneCheckInput {
  renderQueue: string;
  /** Its place among what waits for nodes. */
  turn?: Priority;
  question: Parameters<NodeActivities["checkScene"]>[0];
}

/** Lets a render node look at a scene for somebody who waits for an estimate; the answer is kept for whoever asks again. */
export async function sceneCheck({
  renderQueue: taskQueue,
  turn: priority,
  question,
}: SceneCheckInput): Promise<Awaited<ReturnType<NodeActivities["checkScene"]>>> {
  const { checkScene } = proxyActivities<NodeActivities>({ ...CHECK_SCENE, taskQueue, ...(priority ? { priority } : {}) });
  const answer = await checkScene(question);
  setCurrentDetails(answer.kind === "report" ? "the scene can be rendered" : `refused: ${answer.message}`);
  return answer;
}
