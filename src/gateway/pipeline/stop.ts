import { upstreamAuth, upstreamUrl } from "../providers/index.ts";
import type { Route } from "../routing/index.ts";
import { ask } from "../upstream/ask.ts";
import { upstreamHeaders } from "../upstream/headers.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import type { StopRequest } from "./format.ts";
import { waiveMessage } from "./message.ts";

const LISTENED_MS = 30_000;

/** How long a provider whose client left is listened to for the word by which it can be stopped, in milliseconds. */
export const stopPatience = ({ candidate }: Call): number => Math.min(LISTENED_MS, candidate!.provider.timeouts.firstByteMs);

/** Before each try, in milliseconds. */
const PAUSES_MS = [0, 300, 1_500];
const ANSWER_MS = 5_000;
const ANSWER_LIMIT = 64 * 1024;
/** When many clients leave at once and a provider does not answer, the rest of its answers end by themselves. */
const MOST_AT_ONCE = 200;

let underWay = 0;

type StopDeps = Pick<RelayDeps, "upstream" | "routing" | "log" | "usage">;

/**
 * Nobody waits for the provider's answer any more: its connection is closed and, where that alone does not stop the work, the provider is
 * told. One that has not yet said by what it can be stopped is listened to until it does, unless another is asked now (`retry`).
 */
export function letGo(deps: StopDeps, call: Call, why: "gone" | "failed" | "retry"): void {
  const { exchange, dialect, reader } = call;
  if (!exchange || exchange.ended) return;
  if (dialect?.stop && call.leftMs === undefined && (reader?.state === "open" || reader?.goesOn) && !reader.closing) {
    const stop = dialect.stop(call.made);
    if (stop) void tellToStop(deps, call.route!, stop);
    else if (why !== "retry") {
      call.awaitsStop = true;
      return;
    }
  }
  exchange.abort();
}

/** What comes from a provider that is to be stopped as soon as it can be. */
export function readOn(deps: StopDeps, call: Call, chunk: Buffer): void {
  const reader = call.reader!;
  reader.push(chunk);
  const stop = call.dialect?.stop?.(reader.made);
  if (stop) void tellToStop(deps, call.route!, stop);
  if (!stop && reader.state === "open") return;
  // It ended before anything was named, and so free of charge.
  if (!call.made) void waiveMessage(deps, call, reader.made);
  call.awaitsStop = false;
  call.exchange?.abort();
}

/** Tells a provider to stop; a few tries, never awaited by a call, never rejects. */
export async function tellToStop(
  deps: StopDeps,
  { candidate: { provider, upstreamModel }, key }: Route,
  { path, body }: StopRequest,
): Promise<void> {
  if (underWay >= MOST_AT_ONCE) return deps.log.warn({ provider: provider.name }, "too many answers are being stopped; one is left to end");
  underWay += 1;
  const headers = upstreamHeaders({
    caller: {},
    speaks: provider.speaks,
    auth: upstreamAuth(provider, key.value, upstreamModel),
    accept: "application/json",
    contentType: "application/json",
    bytes: body.length,
    extra: provider.headers,
  });
  const request = {
    url: upstreamUrl(provider, path, upstreamModel),
    method: "POST" as const,
    headers,
    body,
    connectMs: provider.timeouts.connectMs,
    totalMs: ANSWER_MS,
    limit: ANSWER_LIMIT,
  };
  try {
    for (const pauseMs of PAUSES_MS) {
      if (pauseMs > 0) await new Promise<void>((resolve) => void deps.routing.later(pauseMs, resolve));
      const status = await ask(deps.upstream, request).then(
        (answer) => answer.status,
        () => 0,
      );
      // 4xx: the task is over, or unknown there.
      if (status >= 200 && status < 500 && status !== 429) return;
    }
    deps.log.warn({ provider: provider.name }, "a provider could not be told to stop an answer that nobody waits for");
  } finally {
    underWay -= 1;
  }
}
