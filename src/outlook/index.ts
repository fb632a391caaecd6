export { single } from "./figures.ts";
export { watchOutlook } from "./metrics.ts";
export { postgresFigures } from "./postgresFigures.ts";
export { outlookRoutes } from "./routes.ts";
export { createSampler } from "./sampler.ts";
