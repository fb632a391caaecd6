export { createCallbackDelivery, type CallbackDelivery } from "./callbacks.ts";
export { createEngines, createFilms, describeEngines, type ProgramSettings } from "./engines/index.ts";
export { renewHolds } from "./holds.ts";
export { renderLimits } from "./limits.ts";
export { createRenderMetrics, watchTasks } from "./metrics.ts";
export type { LiveMessage } from "./live.ts";
export { renderPriceRoutes } from "./prices/routes.ts";
export { renderRoutes } from "./routes.ts";
export { forgetSceneChecks } from "./sceneChecks.ts";
export { ownsTask } from "./task.ts";
export { createTasks, type Tasks } from "./tasks.ts";
export { createRenderSteps, type RenderSteps } from "./work/index.ts";
export { createRenderWorkflows } from "./workflowLink.ts";

/** Where render nodes listen. */
export const RENDER_QUEUE = "render";
