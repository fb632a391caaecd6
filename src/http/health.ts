import type { Route } from "./route.ts";
import { rawRoute } from "./route.ts";
import { z } from "zod";
import { mayRead, type InsideAccess } from "./insiders.ts";

/** What a check found out beyond "well": some of what it looks at may be out of order, each with a name. */
export interface Finding {
  status: "up" | "degraded" | "down";
  /** Shown to insiders alone. */
  items: { name: string; state: string; latencyMs: number | undefined }[];
}

/** One part's health check: resolves when well or with what it found, throws when not. */
export interface HealthCheck {
  name: string;
  /** A required part that is down makes the process not ready; the relay serves without the others. */
  required: boolean;
  check(): Promise<Finding | undefined>;
}

const item = z.object({ name: z.string(), state: z.string(), latency_ms: z.number().nullable() });
/** How one part is. */
export const healthPart = z.object({
  status: z.enum(["up", "degraded", "down"]),
  required: z.boolean(),
  latency_ms: z.number(),
  error: z.string().optional(),
  items: z.array(item).optional(),
});
const readiness = z.object({ status: z.enum(["ready", "degraded", "unavailable"]), parts: z.record(z.string(), healthPart) });

const CHECK_TIMEOUT_MS = 2_000;

const tenths = (ms: number): number => Math.round(ms * 10) / 10;

/** Asks one part how it is; `inside` tells what is for insiders alone. Never rejects: who does not answer in time is down. */
export async function measureHealth(health: HealthCheck, inside: boolean): Promise<z.output<typeof healthPart>> {
  const started = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), CHECK_TIMEOUT_MS);
  });
  const outcome = await Promise.race([health.check(), timeout]).then(
    (finding) => finding ?? ({ status: "up", items: undefined } as const),
    () => undefined,
  );
  clearTimeout(timer);
  const items = inside ? outcome?.items : undefined;
  return {
    status: outcome?.status ?? "down",
    required: health.required,
    latency_ms: tenths(performance.now() - started),
    ...(outcome === undefined ? { error: "unreachable" } : {}),
    ...(items
      ? {
          items: items.map(({ name, state, latencyMs }) => ({
            name,
            state,
            latency_ms: latencyMs === undefined ? null : tenths(latencyMs),
          })),
        }
      : {}),
  };
}

/**
 * `/healthz`: this process answers. `/readyz`: each part with its latency; 503 while a required part is down or the process is stopping.
 * Who may read the metrics also sees what a part is made of: each provider with its state.
 */
export function healthRoutes(checks: HealthCheck[], state: { stopping: () => boolean; access: InsideAccess }): Route[] {
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
      handler: async (req, res) => {
        const inside = mayRead(req, state.access);
        const results = await Promise.all(checks.map(async (health) => [health.name, await measureHealth(health, inside)] as const));
        const unavailable = state.stopping() || results.some(([, result]) => result.required && result.status === "down");
        const degraded = results.some(([, result]) => result.status !== "up");
        res.status(unavailable ? 503 : 200).json({
          status: unavailable ? "unavailable" : degraded ? "degraded" : "ready",
          parts: Object.fromEntries(results),
        });
      },
    }),
  ];
}
