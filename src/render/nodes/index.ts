export { startAnnouncing } from "./announcing.ts";
export { createCapacity, type Capacity, type Permit } from "./capacity.ts";
export { watchNodes } from "./metrics.ts";
export { queuesOf, type Needs } from "./queues.ts";
export { forgetNodes } from "./repository.ts";
export { renderNodeRoutes } from "./routes.ts";
export { noteWaiting } from "./waiting.ts";
