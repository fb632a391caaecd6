import type { IncomingHttpHeaders } from "node:http";
import type { Permit } from "./limits/index.ts";
import { endWhole, sendFailure, type Answer } from "./pipeline/answer.ts";
import type { Call } from "./pipeline/call.ts";
import type { RelayDeps } from "./pipeline/deps.ts";
import { failure, type Failure } from "./pipeline/failure.ts";
import type { Voice } from "./pipeline/format.ts";
import type { Registry } from "./registry.ts";
import { NoAnswer, type Answered, type Onward } from "./upstream/ask.ts";

/** What work at a provider that is no call needs of the relay. */
export type BesidesDeps = RelayDeps & { registry: Pick<Registry, "besides"> };

/**
 * Works until the client leaves or the process stops, and rejects then with {@link NoAnswer}: a shutdown waits for it, and ends it after its
 * grace.
 */
export async function whileWanted(
  { registry }: Pick<BesidesDeps, "registry">,
  { req, res }: Pick<Call, "req" | "res">,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  const ended = registry.besides({ req, res }, stop);
  res.once("close", stop);
  if (res.destroyed) stop();
  try {
    await Promise.race([work(stopping.signal), stopped(stopping.signal)]);
  } finally {
    res.off("close", stop);
    ended();
  }
}

const stopped = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(new NoAnswer("stopped"));
    signal.addEventListener("abort", () => reject(new NoAnswer("stopped")));
  });

/** The permit ends with the work, before its last bytes go out: the client's next call never meets it. */
export async function withPermit<T>({ limiter }: Pick<RelayDeps, "limiter">, permit: Permit | undefined, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } finally {
    if (permit) limiter.release(permit, 0);
  }
}

/** Why there is no answer, as the caller is told; `whom` begins a sentence. */
export function noAnswerFailure({ reason }: NoAnswer, whom: string): Failure {
  if (reason === "stopped") return failure("unavailable", { message: "The server is restarting; send the request again", retryAfter: 1 });
  return reason === "time-out" ? failure("upstream_timeout") : failure("upstream_error", { message: `${whom} could not be reached` });
}

/** Refuses; where a part of an answer has gone out already, it is broken off, never ended as if it were whole. */
export function refuseOrBreak(answer: Answer, voice: Pick<Voice, "errorBody">, why: Failure): void {
  if (answer.res.destroyed) return;
  if (answer.res.headersSent) answer.res.destroy();
  else sendFailure(answer, voice, why);
}

const typeOf = (said: IncomingHttpHeaders): string => said["content-type"] ?? "application/json";

/** Where an answer goes that is handed on as it comes. */
export function onwardTo({ res, headers }: Answer, times: Pick<Onward, "idleMs" | "clientIdleMs">): Onward {
  return {
    ...times,
    res,
    begin(status, said) {
      headers.push("content-type", typeOf(said));
      const length = said["content-length"];
      if (length !== undefined) headers.push("content-length", length);
      res.writeHead(status, headers);
    },
  };
}

/** Sends the rest of a provider's good answer: all of it, or the last piece of one that was handed on. */
export function endOnward(answer: Answer, { status, headers: said, body }: Answered): void {
  const { res, headers } = answer;
  if (res.destroyed) return;
  if (res.headersSent) res.end(body);
  else if (status === 204) res.writeHead(204, headers).end();
  else endWhole(answer, body, typeOf(said), status);
}
