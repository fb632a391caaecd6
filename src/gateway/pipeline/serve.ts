import type { IncomingMessage } from "node:http";
import { addressOf } from "../../http/address.ts";
import type { CachedAnswer } from "../cache/index.ts";
import type { Registry } from "../registry.ts";
import { authenticate, chooseModel } from "./admit.ts";
import type { Answer } from "./answer.ts";
import { isForm, readBody } from "./body.ts";
import { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import { ready } from "./end.ts";
import { failure, type Failure } from "./failure.ts";
import { finish } from "./finish.ts";
import type { Form } from "./form.ts";
import type { Format } from "./format.ts";
import { makeHold } from "./hold.ts";
import { takeUp } from "./keep.ts";
import { goesOnAlone } from "./left.ts";
import { passLimits, passRequest } from "./pass.ts";
import { relay } from "./relay.ts";
import { releaseWithin } from "./release.ts";
import { thrown } from "./thrown.ts";

type ServeDeps = RelayDeps & { registry: Pick<Registry, "add" | "watching"> };

/** Of an account in one process: watching takes no place among its calls at once. */
const MOST_WATCHING = 20;
const TOO_MANY = `Too many runs are watched at once by this account: ${MOST_WATCHING} are allowed`;

const ignore = (): void => undefined;

/** One relayed request: admission, hold, relay. Usage and settlement are the business of its end, see finish.ts. Never rejects. */
export async function serve(deps: ServeDeps, format: Format, req: IncomingMessage, answer: Answer): Promise<void> {
  const call = new Call(format, req, answer, addressOf(req, deps.config.proxyHops));
  const { res } = answer;
  call.trace = deps.tracing?.begin(call);
  deps.registry.add(call);
  res.on("error", ignore);
  // A request's own `close` says only that its body was read.
  res.on("close", () => {
    if (!res.writableFinished) {
      call.gone = true;
      if (!goesOnAlone(deps, call)) finish(deps, call, { kind: "gone" });
    }
    deps.retire(call);
  });
  try {
    const refusal = await admit(deps, call);
    // Whatever ended the call meanwhile (its client, a shutdown) could not know of what was taken since.
    if (call.phase !== "admitting") return giveBack(deps, call);
    if (refusal) return finish(deps, call, { kind: "failed", failure: refusal });
    deps.metrics.admitted(call);
    if (call.cached) answerAgain(deps, call, call.cached);
    else relay(deps, call);
  } catch (error) {
    giveBack(deps, call);
    thrown(deps, call, error);
  }
}

/** Everything that must be known and taken before a provider is asked. */
async function admit(deps: ServeDeps, call: Call): Promise<Failure | undefined> {
  const who = await authenticate(deps, call.req, call.ip);
  call.caller = who.caller;
  if ("failure" in who) return who.failure;
  const read = await readCall(deps, call);
  // Who goes on sending what cannot be served is held against his limits like anybody.
  if ("code" in read) return (await passRequest(deps, who.caller, call.ip, call.answer.headers, call.format.voice.vendor)) ?? read;
  if (call.phase !== "admitting") return undefined;
  const withholds = deps.guardrail?.withholds && call.request!.answer === "stream";
  if (call.request!.listens) {
    if (deps.registry.watching(who.caller.principal.userId) > MOST_WATCHING)
      return failure("rate_limited", { message: TOO_MANY, retryAfter: 1 });
    if (withholds) call.withheld = { parts: [], bytes: 0 };
    return passRequest(deps, who.caller, call.ip, call.answer.headers, call.format.voice.vendor);
  }
  const limited = await passLimits(deps, call);
  if (limited || call.format.free) return limited;
  if (call.phase !== "admitting") return undefined;
  call.cached = await deps.cache.find(call, read.body);
  if (call.cached) call.priceMultiplier = Math.ceil((call.priceMultiplier * deps.config.cacheChargePercent) / 100);
  if (call.phase !== "admitting") return undefined;
  const uncovered = await makeHold(deps, call);
  if (uncovered || call.phase !== "admitting") return uncovered;
  if (deps.guardrail) {
    if (withholds) call.withheld = { parts: [], bytes: 0 };
    const body = isForm(call.req) ? Object.fromEntries((read.body as Form).fields) : read.body;
    const refusal = await deps.guardrail.checkRequest(call, body);
    if (refusal || call.phase !== "admitting") return refusal;
  }
  if (call.request!.pledge) await call.request!.pledge(deps, call);
  return undefined;
}

/** What is asked, of which model, at which price and of whom; its body, or why that cannot be served. The call may have ended meanwhile. */
async function readCall(deps: RelayDeps, call: Call): Promise<{ body: unknown } | Failure> {
  const body = await readBody(call.req, call.format, deps.config.bodyLimitBytes);
  if (!body || call.phase !== "admitting") return { body: undefined };
  if (!body.ok) return body.failure;
  const read = { body: body.value };
  const reading = call.format.read(body.value, call.req.headers);
  const result = reading instanceof Promise ? await reading : reading;
  if (call.phase !== "admitting") return read;
  if (!result.ok) return result.failure;
  const { request } = result;
  call.request = request;
  const unprepared = await request.prepare?.(deps, call);
  if (unprepared || call.phase !== "admitting") return unprepared ?? read;
  const unserved = await chooseModel(deps, call);
  if (unserved) return unserved;
  const { refersTo } = request;
  return (refersTo && refersTo.length > 0 ? await takeUp(deps, call, refersTo) : undefined) ?? read;
}

/** The answer that was given before, charged for by its share. */
function answerAgain(deps: RelayDeps, call: Call, { bytes, contentType, usage }: CachedAnswer): void {
  call.usage = usage;
  call.contentType = contentType;
  finish(deps, call, ready(bytes));
}

function giveBack(deps: RelayDeps, call: Call): void {
  if (call.permit) deps.limiter.release(call.permit, 0);
  call.permit = undefined;
  void call.request?.redeem?.(deps, call, "refused");
  if (call.holdOpen && call.phase !== "admitting") {
    call.holdOpen = false;
    void releaseWithin(deps, call.id);
  }
}
