import type { IncomingMessage } from "node:http";
import { addressOf } from "../../http/address.ts";
import type { CallerKey } from "../../identity/index.ts";
import { openaiVoice, readError } from "../formats/openai-chat/errors.ts";
import { authenticate } from "../pipeline/admit.ts";
import { endWhole, sendFailure, type Answer } from "../pipeline/answer.ts";
import type { Call } from "../pipeline/call.ts";
import type { RelayDeps } from "../pipeline/deps.ts";
import { failure, type Failure } from "../pipeline/failure.ts";
import { passRequest, passWork } from "../pipeline/pass.ts";
import { discreet } from "../pipeline/discreet.ts";
import { failureOf } from "../pipeline/thrown.ts";
import type { Permit } from "../limits/index.ts";
import type { Registry } from "../registry.ts";
import { upstreamAuth, upstreamUrl } from "../providers/index.ts";
import { ask, NoAnswer } from "../upstream/ask.ts";
import { retryAfterSeconds } from "../upstream/headers.ts";
import type { KeptRow } from "./index.ts";

const BODY_LIMIT = 64 * 1024 * 1024;
const ID = /^[\w-]{1,256}$/;

const unknown = (): Failure => failure("not_found", { message: "There is no such response among those your calls made" });

/** What of the query goes on: which parts to show. Streams are for work in the background, which is not offered. */
function queryOf(req: IncomingMessage): string | Failure {
  const given = new URLSearchParams((req.url ?? "").split("?")[1] ?? "");
  if (given.get("stream") === "true") {
    return failure("validation_failed", { message: "stream: is not offered here", param: "stream" });
  }
  const kept = new URLSearchParams([...given].filter(([name]) => name === "include" || name === "include[]"));
  return kept.size > 0 ? `?${kept.toString()}` : "";
}

type Deps = RelayDeps & { registry: Pick<Registry, "besides"> };

/**
 * Reads or deletes a response at the provider that keeps it, for the account, or the end-user token, that made it. Counts as a request,
 * takes a place among the caller's calls at once while it runs, and costs nothing.
 */
export async function serveKeptAnswer(deps: Deps, req: IncomingMessage, answer: Answer, id: string): Promise<void> {
  const refuse = (why: Failure): void => {
    if (!answer.res.destroyed) sendFailure(answer, openaiVoice, why);
  };
  try {
    const ip = addressOf(req, deps.config.proxyHops);
    const who = await authenticate(deps, req, ip);
    if ("failure" in who) return refuse(who.failure);
    const { caller } = who;
    const asked = await find(deps, caller, req, id);
    const { vendor } = openaiVoice;
    if ("code" in asked) return refuse((await passRequest(deps, caller, ip, answer.headers, vendor)) ?? asked);
    const passed = await passWork(deps, caller, { model: asked.kept.model, ip, headers: answer.headers, vendor });
    if ("code" in passed) return refuse(passed);
    const got = await whileWanted(deps, { req, res: answer.res }, passed.permit, (signal) => askProvider(deps, asked, signal));
    if ("code" in got) return refuse(got);
    if (asked.method === "DELETE") await deps.answers.forget(caller.principal.userId, id);
    if (!answer.res.destroyed) endWhole(answer, got);
  } catch (error) {
    refuse(error instanceof NoAnswer ? noAnswer(error) : failureOf(error));
  }
}

interface Asked {
  kept: KeptRow;
  method: "GET" | "DELETE";
  query: string;
}

/** Which response is meant, when the caller may have it. */
async function find(deps: Deps, { principal, tokenId, modelSet }: CallerKey, req: IncomingMessage, id: string): Promise<Asked | Failure> {
  const [kept] = ID.test(id) ? await deps.answers.find({ userId: principal.userId, tokenId }, [id]) : [];
  if (!kept || kept.responseId !== id) return unknown();
  if (modelSet && !modelSet.has(kept.model.toLowerCase())) return failure("model_not_allowed");
  const query = queryOf(req);
  if (typeof query !== "string") return query;
  return { kept, method: req.method === "DELETE" ? "DELETE" : "GET", query };
}

/** Works until the client leaves or the process stops; the permit ends with it. */
async function whileWanted<T>(
  deps: Deps,
  { req, res }: Pick<Call, "req" | "res">,
  permit: Permit | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  const ended = deps.registry.besides({ req, res }, stop);
  res.once("close", stop);
  if (res.destroyed) stop();
  try {
    return await work(stopping.signal);
  } finally {
    res.off("close", stop);
    if (permit) deps.limiter.release(permit, 0);
    ended();
  }
}

function noAnswer({ reason }: NoAnswer): Failure {
  if (reason === "stopped") return failure("unavailable", { message: "The server is restarting; send the request again", retryAfter: 1 });
  return reason === "time-out" ? failure("upstream_timeout") : failure("upstream_error", { message: "The provider could not be reached" });
}

async function askProvider(deps: Deps, { kept, method, query }: Asked, signal: AbortSignal): Promise<Buffer | Failure> {
  const served = (await deps.catalog.route(kept.model)).find(({ provider }) => provider.id === kept.providerId);
  if (!served) return unknown();
  const { provider, upstreamModel } = served;
  let refused: Failure = unknown();
  // The key that was in use then may not be this account's any more, and a project of the vendor sees only what it made.
  const keeper = deps.routing.keeperOf(served, kept.userId, performance.now());
  for (const key of [keeper, ...provider.keys.filter((other) => other !== keeper)]) {
    const { status, headers, body } = await ask(deps.upstream, {
      url: `${upstreamUrl(provider, "/responses", upstreamModel)}/${kept.id}${query}`,
      method,
      headers: ["accept", "application/json", "accept-encoding", "identity", "user-agent", "tollkeeper"].concat(
        Object.entries(provider.headers).flatMap(([name, value]) => [name.toLowerCase(), value]),
        upstreamAuth(provider, key.value, upstreamModel),
      ),
      connectMs: provider.timeouts.connectMs,
      totalMs: provider.timeouts.firstByteMs,
      limit: BODY_LIMIT,
      signal,
    });
    if (status === 200) return body;
    if (status !== 404) refused = discreet(readError(status, body, retryAfterSeconds(headers)), served, kept.model);
  }
  return refused;
}
