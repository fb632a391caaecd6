import type { IncomingMessage } from "node:http";
import { addressOf } from "../../http/address.ts";
import { openaiVoice, readError } from "../formats/openai-chat/errors.ts";
import { authenticate } from "../pipeline/admit.ts";
import { endWhole, sendFailure, type Answer } from "../pipeline/answer.ts";
import type { RelayDeps } from "../pipeline/deps.ts";
import { failure, type Failure } from "../pipeline/failure.ts";
import { passRequest } from "../pipeline/pass.ts";
import { discreet } from "../pipeline/discreet.ts";
import { failureOf } from "../pipeline/thrown.ts";
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

/** Reads or deletes a response at the provider that keeps it, for the account, or the end-user token, that made it. Counts as a request, costs nothing. */
export async function serveKeptAnswer(deps: RelayDeps, req: IncomingMessage, answer: Answer, id: string): Promise<void> {
  const refuse = (why: Failure): void => sendFailure(answer, openaiVoice, why);
  try {
    const ip = addressOf(req, deps.config.proxyHops);
    const who = await authenticate(deps, req, ip);
    if ("failure" in who) return refuse(who.failure);
    const limited = await passRequest(deps, who.caller, ip, answer.headers, openaiVoice.vendor);
    if (limited) return refuse(limited);
    const { principal, tokenId } = who.caller;
    const { userId } = principal;
    const [kept] = ID.test(id) ? await deps.answers.find({ userId, tokenId }, [id]) : [];
    if (!kept || kept.responseId !== id) return refuse(unknown());
    const query = queryOf(req);
    if (typeof query !== "string") return refuse(query);
    const method = req.method === "DELETE" ? "DELETE" : "GET";
    const got = await askProvider(deps, kept, method, query);
    if ("code" in got) return refuse(got);
    if (method === "DELETE") await deps.answers.forget(userId, id);
    endWhole(answer, got);
  } catch (error) {
    refuse(error instanceof NoAnswer ? noAnswer(error) : failureOf(error));
  }
}

const noAnswer = ({ reason }: NoAnswer): Failure =>
  reason === "time-out" ? failure("upstream_timeout") : failure("upstream_error", { message: "The provider could not be reached" });

async function askProvider(deps: RelayDeps, kept: KeptRow, method: "GET" | "DELETE", query: string): Promise<Buffer | Failure> {
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
    });
    if (status === 200) return body;
    if (status !== 404) refused = discreet(readError(status, body, retryAfterSeconds(headers)), served, kept.model);
  }
  return refused;
}
