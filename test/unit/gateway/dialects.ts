import type { Dialect, RelayRequest, Speaks } from "../../../src/gateway/pipeline/format.ts";

/** How a request is put to a provider; throws when it cannot be. */
export function dialectOf(request: RelayRequest, speaks: Speaks): Dialect {
  const dialect = request.dialect(speaks);
  if ("code" in dialect) throw new Error(dialect.message);
  return dialect;
}

/** The body that a provider is sent. */
export const sentTo = (request: RelayRequest, speaks: Speaks, cap?: number, upstreamModel = "up"): Record<string, unknown> =>
  JSON.parse(dialectOf(request, speaks).encode(upstreamModel, cap).body.toString()) as Record<string, unknown>;
