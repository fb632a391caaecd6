import { shapeBytes, upstreamAuth, upstreamUrl } from "../providers/index.ts";
import type { Route } from "../routing/index.ts";
import { upstreamHeaders } from "../upstream/headers.ts";
import type { Call } from "./call.ts";
import type { Dialect } from "./format.ts";

const ACCEPTED = { stream: "text/event-stream", whole: "application/json", bytes: "*/*" } as const;

/** One request as it goes out to a provider. */
export interface UpstreamRequest {
  url: string;
  method: "GET" | undefined;
  /** Names and values in turn. */
  headers: string[];
  body: Buffer | null;
  connectMs: number;
}

/** The request of a call to a provider, in the provider's words. Throws what cannot be written. */
export function requestOf(call: Call, dialect: Dialect, { candidate: { provider, upstreamModel }, key }: Route): UpstreamRequest {
  const encoded = dialect.encode(upstreamModel, call.sentCap);
  const { contentType } = encoded;
  const body = shapeBytes(provider, encoded.body, contentType, upstreamModel);
  const headers = upstreamHeaders({
    caller: call.req.headers,
    speaks: provider.speaks,
    auth: upstreamAuth(provider, key.value, upstreamModel),
    accept: dialect.gathers ? ACCEPTED.stream : ACCEPTED[call.request!.answer],
    contentType,
    bytes: body.length,
    extra: provider.headers,
    more: dialect.headers?.(call.req.headers),
  });
  if (call.trace && provider.flags.forwardTrace) headers.push("traceparent", call.trace.traceparent);
  const { method } = dialect;
  const url = upstreamUrl(provider, dialect.path, upstreamModel);
  return { url, method, headers, body: method === "GET" ? null : body, connectMs: provider.timeouts.connectMs };
}
