import { ApplicationFailure } from "@temporalio/common";
import type { WorkDeps } from "../deps.ts";
import { EngineMissing } from "../engines/engine.ts";
import { askEngine, type SceneAnswer, type SceneQuestion } from "../sceneChecks.ts";
import type { Scenes } from "./scenes.ts";

/**
 * Looks at a scene on a render node, before any money is held. Throws a failure of type SceneMissing when its owner has removed it,
 * EngineMissing when this node cannot do the engine's work.
 */
export async function checkScene(deps: WorkDeps & { scenes: Scenes }, question: SceneQuestion, signal: AbortSignal): Promise<SceneAnswer> {
  const engine = deps.engines.get(question.engine);
  if (!engine) throw ApplicationFailure.nonRetryable(`the engine ${question.engine} is not here`, "EngineMissing");
  const scene = await deps.scenes.local(question.ownerId, question.fileId, signal);
  try {
    return await askEngine(deps.pool, engine, scene, question, signal);
  } catch (error) {
    // Another node may have it.
    if (error instanceof EngineMissing) throw ApplicationFailure.retryable(error.message, "EngineMissing");
    throw error;
  }
}
