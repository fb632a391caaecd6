import { BlockList, isIPv6 } from "node:net";
import type { Request } from "express";
import { z } from "zod";
import { appError } from "../platform/errors.ts";
import type { Metrics } from "../platform/metrics.ts";
import { equalSecret } from "../platform/secrets.ts";
import { rawRoute, type Route } from "./route.ts";

/** Who may read the metrics. */
export interface MetricsAccess {
  /** When set, it alone decides. */
  token: string | undefined;
  /** True on a port of its own, which nobody reaches from outside: neighbours on a private network may read too. */
  ownPort: boolean;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

const neighbours = new BlockList();
for (const [net, bits] of [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["100.64.0.0", 10],
  ["169.254.0.0", 16],
] as const)
  neighbours.addSubnet(net, bits);
neighbours.addSubnet("fc00::", 7, "ipv6");
neighbours.addSubnet("fe80::", 10, "ipv6");

/** What a proxy adds: behind one on this machine everybody would look like a neighbour. */
const FORWARDED = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];

function isNear(address: string, ownPort: boolean): boolean {
  const plain = address.replace(/^::ffff:/, "").replace(/%.*$/, "");
  const family = isIPv6(plain) ? "ipv6" : "ipv4";
  return loopback.check(plain, family) || (ownPort && neighbours.check(plain, family));
}

function mayRead(req: Request, { token, ownPort }: MetricsAccess): boolean {
  if (token !== undefined) {
    const given = /^Bearer (\S+)$/i.exec(req.headers.authorization ?? "")?.[1];
    return given !== undefined && equalSecret(given, token);
  }
  return FORWARDED.every((name) => req.headers[name] === undefined) && isNear(req.socket.remoteAddress ?? "", ownPort);
}

/**
 * `GET /metrics` in Prometheus' text format. With METRICS_TOKEN: to whoever sends it as a bearer token. Without: to this machine alone,
 * and to private networks on a port of its own; never to a request that came through a proxy.
 */
export function metricsRoute(metrics: Metrics, access: MetricsAccess): Route {
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
