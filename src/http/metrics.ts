import type { Request, RequestHandler, Response } from "express";
import { SECONDS, type Metrics } from "../platform/metrics.ts";

/** What a request is counted under: the route's own pattern, never what the caller wrote. */
export function routeOf(req: Request): string {
  const { route, baseUrl } = req as { route?: { path?: unknown }; baseUrl: string };
  if (typeof route?.path === "string") return baseUrl + route.path;
  return baseUrl === "" ? "none" : baseUrl;
}

/** Counts every request that is not relayed, by route, method and status. Declares its metrics; once per process. */
export function countRequests(metrics: Metrics): RequestHandler {
  const requests = metrics.counters({
    name: "tollkeeper_http_requests_total",
    help: "Answered requests beside the relay's, by route, method and status.",
    labels: ["route", "method", "status"],
  });
  const seconds = metrics.histograms({
    name: "tollkeeper_http_request_seconds",
    help: "How long such requests took, by route.",
    labels: ["route"],
    buckets: SECONDS,
    limit: 300,
  });
  return (req: Request, res: Response, next) => {
    const began = performance.now();
    res.once("finish", () => {
      const route = routeOf(req);
      requests.of(route, req.method, String(res.statusCode)).add();
      seconds.of(route).observe((performance.now() - began) / 1_000);
    });
    next();
  };
}
