import type { Tracing, TracingOptions } from "./types.ts";

export { served, serving } from "./current.ts";
export type { Span, Tracing } from "./types.ts";

/** Tracing, when there is somewhere to send traces to. OpenTelemetry is loaded only then. */
export async function createTracing(
  options: Omit<TracingOptions, "endpoint"> & { endpoint: string | undefined },
): Promise<Tracing | undefined> {
  const { endpoint, ...rest } = options;
  if (endpoint === undefined) return undefined;
  const { createOtelTracing } = await import("./otel.ts");
  return createOtelTracing({ endpoint, ...rest });
}
