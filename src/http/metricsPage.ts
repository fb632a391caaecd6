import { z } from "zod";
import { appError } from "../platform/errors.ts";
import type { Metrics } from "../platform/metrics.ts";
import { mayRead, type InsideAccess } from "./insiders.ts";
import { rawRoute, type Route } from "./route.ts";

/**
 * `GET /metrics` in Prometheus' text format. With METRICS_TOKEN: to whoever sends it as a bearer token. Without: to this machine alone,
 * and to private networks on a port of its own; never to a request that came through a proxy.
 */
export function metricsRoute(metrics: Metrics, access: InsideAccess): Route {
  return rawRoute({
    method: "get",
    path: "/metrics",
    summary: "Metrics for Prometheus",
    description: "With `METRICS_TOKEN` set: `Authorization: Bearer <token>`. Without it only this machine is answered.",
    tag: "Health",
    access: "none",
    produces: "text/plain",
    responses: { 200: z.string() },
    errors: ["unauthenticated", "forbidden"],
    handler: async (req, res) => {
      if (!mayRead(req, access)) {
        if (access.token !== undefined) throw appError("unauthenticated", { message: "Send the metrics token: Authorization: Bearer …" });
        throw appError("forbidden", { message: "Metrics are read from this machine, or with METRICS_TOKEN" });
      }
      const text = await metrics.text();
      res.set("cache-control", "no-store").type(metrics.contentType).send(text);
    },
  });
}
