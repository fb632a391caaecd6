import type { IncomingMessage } from "node:http";
import { addressOf } from "../../http/address.ts";
import type { CallerKey } from "../../identity/index.ts";
import { openaiVoice, readError } from "../formats/openai-chat/errors.ts";
import { authenticate } from "../pipeline/admit.ts";
import { endOnward, noAnswerFailure, onwardTo, refuseOrBreak, whileWanted, withPermit, type BesidesDeps as Deps } from "../besides.ts";
import type { Answer } from "../pipeline/answer.ts";
import { failure, type Failure } from "../pipeline/failure.ts";
import { passRequest, passWork } from "../pipeline/pass.ts";
import { discreet } from "../pipeline/discreet.ts";
import { failureOf } from "../pipeline/thrown.ts";
import { upstreamAuth, upstreamUrl } from "../providers/index.ts";
import { ask, NoAnswer, type Answered } from "../upstream/ask.ts";
import { retryAfterSeconds } from "../upstream/headers.ts";
import type { KeptRow } from "./index.ts";

/** Of what is not handed on as it comes: errors, and the word that a response is gone. */
const BODY_LIMIT = 64 * 1024;
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

/**
 * Reads or deletes a response at the provider that keeps it, for the account, or the end-user token, that made it. Counts as a request,
 * takes a place among the caller's calls at once while it runs, and costs nothing.
 */
export async function serveKeptAnswer(deps: Deps, req: IncomingMessage, answer: Answer, id: string): Promise<void> {
  const refuse = (why: Failure): void => refuseOrBreak(answer, openaiVoice, why);
  try {
    await whileWanted(deps, { req, res: answer.res }, async (signal) => {
      const refusal = await serve(deps, req, answer, id, signal);
      if (refusal) refuse(refusal);
    });
  } catch (error) {
    refuse(error instanceof NoAnswer ? noAnswerFailure(error, "The provider") : failureOf(error));
  }
}

/** Answers, or says why not. */
async function serve(deps: Deps, req: IncomingMessage, answer: Answer, id: string, signal: AbortSignal): Promise<Failure | undefined> {
  const ip = addressOf(req, deps.config.proxyHops);
  const who = await authenticate(deps, req, ip);
  if ("failure" in who) return who.failure;
  const { caller } = who;
  const asked = await find(deps, caller, req, id);
  const { vendor } = openaiVoice;
  if ("code" in asked) return (await passRequest(deps, caller, ip, answer.headers, vendor)) ?? asked;
  const passed = await passWork(deps, caller, { model: asked.kept.model, ip, headers: answer.headers, vendor });
  if ("code" in passed) return passed;
  const got = await withPermit(deps, passed.permit, askProvider(deps, asked, answer, signal));
  if ("code" in got) return got;
  if (asked.method === "DELETE") await deps.answers.forget(caller.principal.userId, id);
  endOnward(answer, got);
  return undefined;
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

async function askProvider(deps: Deps, { kept, method, query }: Asked, answer: Answer, signal: AbortSignal): Promise<Answered | Failure> {
  const served = (await deps.catalog.route(kept.model)).find(({ provider }) => provider.id === kept.providerId);
  if (!served) return unknown();
  const { provider, upstreamModel } = served;
  let refused: Failure = unknown();
  // The key that was in use then may not be this account's any more, and a project of the vendor sees only what it made.
  const keeper = deps.routing.keeperOf(served, kept.userId, performance.now());
  for (const key of [keeper, ...provider.keys.filter((other) => other !== keeper)]) {
    const answered = await ask(deps.upstream, {
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
      onward: method === "GET" ? onwardTo(answer, { idleMs: provider.timeouts.idleMs, clientIdleMs: deps.config.clientIdleMs }) : undefined,
    });
    const { status, headers, body } = answered;
    if (status >= 200 && status <= 299) return answered;
    if (status !== 404) refused = discreet(readError(status, body, retryAfterSeconds(headers)), served, kept.model);
  }
  return refused;
}
