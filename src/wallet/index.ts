export { pointsRoutes } from "./points.ts";
export { walletRoutes } from "./routes.ts";
