export type { RenderEngine } from "./engines/engine.ts";
export { createCallbackDelivery, type CallbackDelivery } from "./callbacks.ts";
export { createEngines, createFilms, describeEngines, type ProgramSettings } from "./engines/index.ts";
export { renewHolds } from "./holds.ts";
export { renderLimits } from "./limits.ts";
export { createRenderMetrics, watchTasks } from "./metrics.ts";
export type { LiveMessage } from "./live.ts";
export {
  createCapacity,
  forgetNodes,
  noteWaiting,
  queuesOf,
  renderNodeRoutes,
  startAnnouncing,
  watchNodes,
  type Capacity,
  type Needs,
  type Permit,
} from "./nodes/index.ts";
export { renderPriceRoutes } from "./prices/routes.ts";
export { renderRoutes } from "./routes.ts";
export { forgetSceneChecks } from "./sceneChecks.ts";
export { ownsTask } from "./task.ts";
export { createTasks, type Tasks } from "./tasks.ts";
export { createRenderSteps, type RenderSteps } from "./work/index.ts";
export { createRenderWorkflows } from "./workflowLink.ts";

/** What the names of render nodes' task queues begin with. */
export const RENDER_QUEUE = "render";
