import type { Route } from "./route.ts";
import { rawRoute } from "./route.ts";
import { z } from "zod";

/** One part's health check: resolves with nothing when well, throws when not. */
export interface HealthCheck {
  name: string;
  /** A required part that is down makes the process not ready; the relay serves without the others. */
  required: boolean;
  check(): Promise<void>;
}

const part = z.object({ status: z.enum(["up", "down"]), required: z.boolean(), latency_ms: z.number(), error: z.string().optional() });
const readiness = z.object({ status: z.enum(["ready", "degraded", "unavailable"]), parts: z.record(z.string(), part) });

const CHECK_TIMEOUT_MS = 2_000;

async function measure(health: HealthCheck): Promise<z.output<typeof part>> {
  const started = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), CHECK_TIMEOUT_MS);
  });
  const outcome = await Promise.race([health.check(), timeout]).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  clearTimeout(timer);
  const latency = Math.round((performance.now() - started) * 10) / 10;
  return {
    status: outcome === undefined ? "up" : "down",
    required: health.required,
    latency_ms: latency,
    ...(outcome === undefined ? {} : { error: "unreachable" }),
  };
}

/** `/healthz`: this process answers. `/readyz`: each part with its latency; 503 while a required part is down or the process is stopping. */
export function healthRoutes(checks: HealthCheck[], state: { stopping: () => boolean }): Route[] {
  return [
    rawRoute({
      method: "get",
      path: "/healthz",
      summary: "The process is alive",
      tag: "Health",
      access: "none",
      responses: { 200: z.object({ status: z.literal("ok") }) },
      handler: (_req, res) => {
        res.json({ status: "ok" });
      },
    }),
    rawRoute({
      method: "get",
      path: "/readyz",
      summary: "Each part with its latency",
      tag: "Health",
      access: "none",
      responses: { 200: readiness, 503: readiness },
      handler: async (_req, res) => {
        const results = await Promise.all(checks.map(async (health) => [health.name, await measure(health)] as const));
        const unavailable = state.stopping() || results.some(([, result]) => result.required && result.status === "down");
        const degraded = results.some(([, result]) => result.status === "down");
        res.status(unavailable ? 503 : 200).json({
          status: unavailable ? "unavailable" : degraded ? "degraded" : "ready",
          parts: Object.fromEntries(results),
        });
      },
    }),
  ];
}
