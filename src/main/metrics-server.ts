import { createServer } from "node:http";
import express from "express";
import type { Config } from "../config/index.ts";
import { errorHandler } from "../http/errorHandler.ts";
import type { Idempotency } from "../http/idempotency.ts";
import { metricsRoute } from "../http/metricsPage.ts";
import { mountRoutes } from "../http/mount.ts";
import type { Logger } from "../platform/logger.ts";
import type { Metrics } from "../platform/metrics.ts";
import { listen } from "./listen.ts";

/** Nothing here moves money. */
const never: Idempotency = { once: (_request, run) => run() };

/** Serves `/metrics` alone on METRICS_PORT, when it is set. Resolves with how to end it. */
export async function serveMetrics(options: { metrics: Metrics; config: Config; log: Logger }): Promise<() => void> {
  const { metrics, config, log } = options;
  if (config.METRICS_PORT === undefined) return () => undefined;
  const app = express();
  app.disable("x-powered-by");
  const route = metricsRoute(metrics, { token: config.METRICS_TOKEN, ownPort: true });
  app.use(mountRoutes([route], { authenticate: async () => undefined, idempotency: never }));
  app.use(errorHandler(log));
  const server = createServer(app);
  await listen(server, { HOST: config.HOST, PORT: config.METRICS_PORT }, "METRICS_PORT");
  log.info({ port: config.METRICS_PORT }, "metrics are served");
  return () => {
    server.close();
    server.closeAllConnections();
  };
}
