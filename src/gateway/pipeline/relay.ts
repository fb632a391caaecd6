import type { IncomingHttpHeaders } from "node:http";
import type { Exchange, Listener } from "../upstream/exchange.ts";
import { connectionFailure } from "../upstream/faults.ts";
import { retryAfterMs, upstreamRequestId } from "../upstream/headers.ts";
import { keeperHash, ruleOf, sessionHash, type Route } from "../routing/index.ts";
import { answerMode, malformed } from "./answerMode.ts";
import { closeAttempt, openAttempt, type Said } from "./attempt.ts";
import { mayHaveBegun } from "./begun.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import { discreet } from "./discreet.ts";
import { ready, streamed, whole } from "./end.ts";
import { failure, type Failure } from "./failure.ts";
import { finish } from "./finish.ts";
import type { Dialect, Made } from "./format.ts";
import { beginFollowing, followAgain } from "./follow.ts";
import { forward, startOver } from "./forward.ts";
import { waiveMessage } from "./message.ts";
import { requestOf, type UpstreamRequest } from "./request.ts";
import { letGo, readOn } from "./stop.ts";
import { thrown } from "./thrown.ts";
import { unavailable } from "./unavailable.ts";

/** An error answer beyond this is not read. */
const ERROR_BODY_LIMIT = 64 * 1024;
const WHOLE_BODY_LIMIT = 64 * 1024 * 1024;
/** What a provider sends after its terminal event is thrown away; beyond this the connection is too. */
const AFTER_END_LIMIT = 64 * 1024;

const NO_NOTES: readonly string[] = [];

/** How long to wait for the word whether a provider may be tried, and how often. */
const ASKING_MS = 20;
const ASKED = 5;

/** Sends the call to its providers. Ends, sooner or later, in {@link finish}. */
export function relay(deps: RelayDeps, call: Call): void {
  const { userId } = call.caller!.principal;
  const request = call.request!;
  const session = call.req.headers["x-session-id"] ?? request.session;
  if (typeof session === "string" && session !== "") call.session = sessionHash(userId, session);
  if (request.keepsAnswer === true || (request.refersTo?.length ?? 0) > 0) call.keySession = keeperHash(userId);
  deps.routing.begin();
  proceed(deps, call, undefined);
}

/**
 * Goes on with a call. Nobody above can catch what is thrown while it is sent: it may be the one clock of all calls that has come here. An
 * exception is the end of this call and of no other.
 */
function proceed(deps: RelayDeps, call: Call, why: Failure | undefined): void {
  try {
    next(deps, call, why);
  } catch (error) {
    thrown(deps, call, error);
  }
}

/** The next provider, or the next round of all of them after a pause, or the end. `why` is how the last one failed. */
function next(deps: RelayDeps, call: Call, why: Failure | undefined): void {
  const { routing } = deps;
  const nowMs = performance.now();
  const { route, none } = routing.choose(call, nowMs);
  if (route) return send(deps, call, route, why);
  const asks = why === undefined && none.asking && call.rounds < ASKED;
  const round = { round: call.rounds + 1, firstSentMs: call.tries[0]?.startedMs ?? nowMs };
  const pauseMs = asks ? ASKING_MS : why && routing.pause(call, round, nowMs);
  if (pauseMs === undefined) return finish(deps, call, { kind: "failed", failure: why ?? unavailable(none) });
  call.phase = "waiting";
  call.rounds += 1;
  call.roundFrom = call.tries.length;
  call.cancelWait = routing.later(pauseMs, () => {
    if (call.phase !== "waiting") return;
    call.cancelWait = undefined;
    if (routing.draining && why) return finish(deps, call, { kind: "failed", failure: why });
    proceed(deps, call, why);
  });
}

function send(deps: RelayDeps, call: Call, route: Route, why: Failure | undefined): void {
  const request = call.request!;
  // The one before answered whole; this one is asked for a stream again.
  if (call.cameWhole) [request.answer, call.cameWhole] = ["stream", false];
  const { provider } = route.candidate;
  const dialect = request.dialect(provider.speaks);
  if ("code" in dialect) {
    // It cannot be said in this one's words; in another's perhaps.
    deps.routing.abandoned(route);
    call.candidates = call.candidates.filter((candidate) => candidate.provider.speaks !== provider.speaks);
    return next(deps, call, why ?? dialect);
  }
  if (dialect.local) {
    deps.routing.abandoned(route);
    return finish(deps, call, ready(dialect.local(deps.tokenizer)));
  }
  ask(deps, call, route, dialect);
}

/** Sends one request to a provider, whose answer ends the call or has another one asked. */
function ask(deps: RelayDeps, call: Call, route: Route, dialect: Dialect): void {
  call.dialect = dialect;
  let request: UpstreamRequest;
  try {
    request = requestOf(call, dialect, route);
  } catch (error) {
    // Nested too deeply to be written, say. The provider was not asked: another call may be its trial.
    deps.routing.abandoned(route);
    throw error;
  }
  const nowMs = performance.now();
  openAttempt(call, route, nowMs);
  startOver(call);
  call.route = route;
  call.phase = "relaying";
  call.sentMs = nowMs;
  call.lastReadMs = nowMs;
  call.firstByteMs = null;
  call.upstreamRequestId = null;
  call.made = undefined;
  const reads = call.request!.answer !== "whole" || dialect.gathers;
  call.reader = reads ? dialect.openStream({ endsWithoutTerminal: route.candidate.provider.flags.skipDone }) : undefined;
  call.exchange = deps.upstream.send(request, new Answer(deps, call));
}

/** Asks for what the call has set going. */
function follow(deps: RelayDeps, call: Call): void {
  try {
    ask(deps, call, call.route!, call.following!.dialect);
  } catch (error) {
    thrown(deps, call, error);
  }
}

/** The provider failed: the next one is asked while the client has seen no event, else the call has failed. */
export function upstreamFailed(deps: RelayDeps, call: Call, met: Failure, said?: Said): void {
  if (call.phase !== "relaying") return;
  const why = discreet(met, call.candidate!, call.request!.model);
  letGo(deps, call, "retry");
  closeAttempt(deps, call, { kind: "failed", failure: why, said });
  if (call.following && !why.verbatim && followAgain(deps, call, () => follow(deps, call))) return;
  if (call.dialect?.once && !call.following && mayHaveBegun(call, why)) {
    const message = `${why.message}; whether the provider took what was sent is not known`;
    return finish(deps, call, { kind: "failed", failure: { ...why, message } });
  }
  if (ruleOf(why).elsewhere && !call.delivered && !call.gone && !call.following) {
    if (!call.request!.outlives) void waiveMessage(deps, call);
    proceed(deps, call, why);
  } else finish(deps, call, { kind: "failed", failure: why });
}

/** What still belonged to the answer has come, or will not: its end was read before. */
export function takeAsEnded(deps: RelayDeps, call: Call): void {
  const reader = call.reader!;
  reader.end();
  call.exchange?.abort();
  if (reader.state === "failed") upstreamFailed(deps, call, reader.failure!);
  else finish(deps, call, streamed(deps, reader));
}

/** What one provider answers to one call. */
class Answer implements Listener {
  readonly #deps: RelayDeps;
  readonly #call: Call;
  #mode: "stream" | "whole" | "error" = "error";
  #status = 0;
  #retryAfterMs: number | undefined;
  #chunks: Buffer[] = [];
  #length = 0;

  constructor(deps: RelayDeps, call: Call) {
    this.#deps = deps;
    this.#call = call;
  }

  get #exchange(): Exchange | undefined {
    return this.#call.exchange;
  }

  head(status: number, headers: IncomingHttpHeaders): void {
    const call = this.#call;
    this.#status = status;
    call.tries.at(-1)!.status = status;
    call.upstreamRequestId = upstreamRequestId(headers);
    if (status !== 200) {
      this.#retryAfterMs = retryAfterMs(headers);
      return;
    }
    const mode = answerMode(call, headers);
    if (typeof mode === "string") this.#mode = mode;
    else this.#fail(mode);
  }

  data(chunk: Buffer): void {
    const call = this.#call;
    const nowMs = performance.now();
    call.lastReadMs = nowMs;
    call.firstByteMs ??= nowMs;
    if (call.phase !== "relaying") {
      if (call.awaitsStop) return readOn(this.#deps, call, chunk);
      this.#length += chunk.length;
      if (this.#length > AFTER_END_LIMIT) this.#exchange?.abort();
    } else if (this.#mode === "stream") this.#stream(chunk);
    else this.#collect(chunk);
  }

  done(): void {
    const call = this.#call;
    if (call.phase !== "relaying") return;
    if (this.#mode === "stream") {
      const out = call.reader!.end();
      this.#forward(out);
    } else if (this.#mode === "whole") this.#whole(Buffer.concat(this.#chunks));
    else this.#refused();
  }

  broke(error: Error): void {
    const call = this.#call;
    if (call.phase !== "relaying") return;
    this.#deps.log.info(
      { trace_id: call.traceId, provider: call.candidate?.provider.name, err: error },
      "the connection to a provider broke",
    );
    if (call.reader?.closing) return takeAsEnded(this.#deps, call);
    // An error answer that breaks off still says what its status says.
    if (this.#mode === "error" && this.#status >= 300) this.#refused();
    else this.#fail(connectionFailure(error, call.firstByteMs !== null));
  }

  threw(error: unknown): void {
    thrown(this.#deps, this.#call, error);
  }

  #stream(chunk: Buffer): void {
    this.#forward(this.#call.reader!.push(chunk));
  }

  #forward(out: Buffer | undefined): void {
    const call = this.#call;
    const reader = call.reader!;
    if (reader.made !== call.made && reader.made) this.#note(reader.made);
    if (out) {
      if (!call.delivered && !call.withheld?.bytes) this.#deps.routing.answered(call.route!);
      if (!forward(call, out)) {
        const why = failure("content_refused", { message: "The answer is too long to be checked", record: "guardrail_too_long" });
        return finish(this.#deps, call, { kind: "failed", failure: why });
      }
    }
    if (reader.state === "open") return;
    if (reader.state === "failed") this.#fail(reader.failure!);
    else finish(this.#deps, call, streamed(this.#deps, reader));
  }

  #note(made: Made): void {
    const call = this.#call;
    call.made = made;
    void call.request!.noteMade?.(this.#deps, call, made);
  }

  #collect(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#mode === "whole" && this.#length > WHOLE_BODY_LIMIT) this.#fail(malformed("The provider's answer is too large"));
    else if (this.#mode === "error" && this.#length > ERROR_BODY_LIMIT) this.#refused();
  }

  #whole(body: Buffer): void {
    const call = this.#call;
    const result = call.dialect!.readWhole(body, call.contentType);
    if (!result.ok) return this.#fail(result.failure);
    if (result.follow) {
      beginFollowing(this.#deps, call, result.follow, result.body ?? body);
      return follow(this.#deps, call);
    }
    call.usage = result.usage;
    call.kept = result.kept;
    call.notes = result.notes ?? NO_NOTES;
    call.made = result.made;
    call.unreadableUsage = result.unreadableUsage;
    call.contentType = result.contentType ?? "application/json";
    finish(this.#deps, call, whole(this.#deps, result, body));
  }

  #refused(): void {
    const body = Buffer.concat(this.#chunks);
    const retryAfter = this.#retryAfterMs;
    const why = this.#call.dialect!.readError(this.#status, body, retryAfter === undefined ? undefined : retryAfter / 1_000);
    upstreamFailed(this.#deps, this.#call, why, { body, retryAfterMs: retryAfter });
  }

  #fail(why: Failure): void {
    upstreamFailed(this.#deps, this.#call, why);
  }
}
