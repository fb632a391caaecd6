import type { UsageEvent } from "../../usage/index.ts";
import { callEvent } from "../events.ts";
import { newBudget } from "../tokens/index.ts";
import { endStream, endWhole, endWithFailure } from "./answer.ts";
import { closeAttempt } from "./attempt.ts";
import { mayHaveBegun } from "./begun.ts";
import type { Call } from "./call.ts";
import { addCallHeaders, addCostHeader } from "./costHeaders.ts";
import type { RelayDeps } from "./deps.ts";
import { streamed, type Done, type End } from "./end.ts";
import { failure, type Failure } from "./failure.ts";
import type { Delivered, EndedAnswer, Redeemed } from "./format.ts";
import { noteKept } from "./keep.ts";
import { waiveMessage } from "./message.ts";
import { releaseWithin } from "./release.ts";
import { letGo } from "./stop.ts";
import { allTokens, counted, NO_TOKENS, reported, seen, soFar, unlessLess, usageEvent, type Tally } from "./tally.ts";

/**
 * The one way out of a call; runs once, whatever comes together. After a hold it does exactly one of two things: a record that will be
 * charged, or a release. It never throws.
 */
export function finish(deps: RelayDeps, call: Call, asked: End): void {
  if (call.phase === "settling" || call.phase === "ended") return;
  const end: End = call.leftMs === undefined ? (endRead(deps, call) ?? asked) : { kind: "gone" };
  call.phase = "settling";
  call.cancelWait?.();
  try {
    closeAttempt(deps, call, end.kind === "done" ? { kind: "ok" } : end);
    if (end.kind !== "done") letGo(deps, call, end.kind);
  } catch (error) {
    deps.log.error({ err: error, trace_id: call.traceId }, "the end of a call could not be told to its provider or the router");
  }
  const work = end.kind === "done" ? complete(deps, call, end) : end.kind === "failed" ? fail(deps, call, end.failure) : leave(deps, call);
  work.then(
    () => close(deps, call, end),
    (error: unknown) => {
      deps.log.error({ err: error, trace_id: call.traceId }, "a call could not be ended in order");
      call.res.destroy();
      endPermit(deps, call, 0);
      if (call.holdOpen) void leaveHold(deps, call);
      close(deps, call, end);
    },
  );
}

/** An answer whose end was read is complete, whatever happens while the rest of it is waited for. */
function endRead(deps: RelayDeps, call: Call): End | undefined {
  const { reader } = call;
  if (!reader?.closing || call.phase !== "relaying") return undefined;
  if (reader.state === "open") reader.end();
  return reader.tail && streamed(deps, reader);
}

/**
 * Nothing runs at the provider any more. On its way before the last bytes are, so that the client's next call never meets this permit.
 * Limits count the tokens that are charged: said again, it only corrects those.
 */
function endPermit(deps: RelayDeps, call: Call, tokens: number): void {
  if (call.permit) deps.limiter.release(call.permit, tokens);
}

function close(deps: RelayDeps, call: Call, end: End): void {
  call.phase = "ended";
  call.endedMs = performance.now();
  deps.metrics.answered(call);
  deps.emit(callEvent(call, end, deps.pricing));
  call.trace?.ended(call, end);
  deps.retire(call);
}

/** The provider is done: usage is charged in full, also when the client leaves while the answer is still checked or recorded. */
async function complete(deps: RelayDeps, call: Call, end: Done): Promise<void> {
  if (call.format.free) {
    endPermit(deps, call, 0);
    return call.res.destroyed ? undefined : endWhole(call.answer, end.last);
  }
  const refusal = call.cached ? undefined : await deps.guardrail?.checkAnswer(call, allOf(call, end.last));
  // What is followed has its client's answer behind it, and is charged; it can only not be read elsewhere.
  if (refusal && !call.following) return fail(deps, call, refusal);
  if (call.request!.listens) return call.res.destroyed ? undefined : endStream(call, allOf(call, end.last));
  const usage = call.reader ? call.reader.usage : call.usage;
  const tally: Tally = usage ? reported(usage) : countedToEnd(deps, call, end.count());
  const last = (!usage && end.restate?.(tally.tokens)) || end.last;
  endPermit(deps, call, allTokens(tally.tokens));
  reportOddities(deps, call);
  const noted = noteKept(deps, call, tally);
  const passed = !refusal && !(call.withheld && call.gone);
  const event = usageEvent(call, tally, { status: "ok", errorCode: null, errorClass: null, httpStatus: 200 });
  const recorded = await recordMade(deps, call, event, { ...tally, passed });
  if (noted) await noted;
  if (!recorded) call.failed = failure("unavailable", { message: "The call could not be recorded", class: "internal" });
  if (call.res.destroyed || call.res.writableEnded) return;
  if (call.failed) endWithFailure(call, call.failed);
  else if (call.request!.answer === "whole") {
    addCallHeaders(call);
    addCostHeader(deps, call, tally);
    endWhole(call.answer, last, call.contentType);
  } else endStream(call, allOf(call, last));
  if (recorded && usage && !call.cached) deps.cache.keep(call, usage, last);
}

/** What an answer that came to its end used, when its provider has not said so; one that was cut short has a prompt that nobody saw. */
const countedToEnd = (deps: RelayDeps, call: Call, delivered: Delivered): Tally =>
  counted(deps, call, delivered, delivered.promptToo ? call.request!.addedUnseen : 0);

/** What was withheld of a stream, and its end. */
const allOf = ({ withheld }: Call, last: Buffer): Buffer => (withheld ? Buffer.concat([...withheld.parts, last]) : last);

/** The client left: what it was given is charged, the provider's count first. Before any content it is nothing. */
async function leave(deps: RelayDeps, call: Call): Promise<void> {
  if (!call.holdOpen) return endPermit(deps, call, 0);
  const event = { status: "client_gone", errorCode: "client_gone", errorClass: null, httpStatus: 499 } as const;
  const { reader } = call;
  if (!(call.delivered || reader?.gathers || call.leftMs !== undefined) || !reader?.hasContent()) {
    endPermit(deps, call, 0);
    deps.usage.recordFailure(usageEvent(call, { tokens: NO_TOKENS, estimated: false }, event));
    return dropFree(deps, call);
  }
  reportOddities(deps, call);
  if (reader.unreadable) {
    endPermit(deps, call, 0);
    const failed = { status: "failed", errorCode: "upstream_malformed", errorClass: "malformed", httpStatus: 499 } as const;
    deps.usage.recordFailure(usageEvent(call, seen(deps, call), failed));
    return dropFree(deps, call);
  }
  const delivered = counted(deps, call, reader.count(deps.tokenizer, newBudget()), call.request!.addedUnseen);
  const said = reader.usage && reported(reader.usage);
  const tally = said ? (reader.closing ? unlessLess(call, said, delivered) : soFar(said, delivered)) : delivered;
  endPermit(deps, call, allTokens(tally.tokens));
  void noteKept(deps, call, tally);
  const recorded = await recordMade(deps, call, usageEvent(call, tally, event), tally);
  if (recorded && tally.estimated) await redeem(deps, call, "counted");
}

async function fail(deps: RelayDeps, call: Call, why: Failure): Promise<void> {
  call.failed = why;
  endPermit(deps, call, 0);
  if (call.holdOpen) {
    const tally = seen(deps, call);
    void noteKept(deps, call, tally);
    deps.usage.recordFailure(
      usageEvent(call, tally, { status: "failed", errorCode: why.record, errorClass: why.class, httpStatus: why.status }),
    );
    const goesOn = call.following !== undefined || mayHaveBegun(call, why);
    await dropFree(deps, call, why.verbatim ? "failed" : goesOn ? "left" : "refused");
  }
  endWithFailure(call, why);
}

async function record(deps: RelayDeps, call: Call, event: UsageEvent): Promise<boolean> {
  try {
    call.trace?.recording();
    const outcome = await deps.usage.record(event);
    call.trace?.recorded();
    if (outcome === "known") {
      await dropCharged(deps, call, event);
      await redeem(deps, call, "known");
    } else {
      call.charge = event;
      call.holdOpen = false;
      if (call.request!.redeem) await redeem(deps, call, "charged");
    }
    return true;
  } catch (error) {
    deps.log.error({ err: error, trace_id: call.traceId, call: call.id }, "a call could not be recorded and is not charged");
    endPermit(deps, call, 0);
    await leaveHold(deps, call);
    return false;
  }
}

/**
 * It was reported by somebody else before, and is charged there: the call stays on record beside it, without tokens and cost, also for
 * limits and whoever watches.
 */
async function dropCharged(deps: RelayDeps, call: Call, event: UsageEvent): Promise<void> {
  endPermit(deps, call, 0);
  deps.usage.recordFailure({ ...event, tokens: NO_TOKENS, units: null, messageKey: null, errorCode: "charged_before" });
  await dropHold(deps, call);
}

/** It costs nothing, and what it has made is nobody else's to charge; unless that goes on, and is charged to whom reads its end. */
async function dropFree(deps: RelayDeps, call: Call, how: Redeemed = "left"): Promise<void> {
  if (call.request!.outlives) return leaveHold(deps, call, how);
  await waiveMessage(deps, call);
  await dropHold(deps, call);
}

const redeem = async (deps: RelayDeps, call: Call, how: Redeemed): Promise<boolean> =>
  (await call.request?.redeem?.(deps, call, how)) ?? false;

/** Nobody pays with it any more, unless what it pays for goes on. */
async function leaveHold(deps: RelayDeps, call: Call, how: Redeemed = "left"): Promise<void> {
  if (await redeem(deps, call, how)) call.holdOpen = false;
  else await dropHold(deps, call);
}

/**
 * Records a call, and whose the things are that it has made. What waits for a person is paid for from then on, and nobody can go on with it
 * before what it has used is on record: what comes after is charged by that.
 */
async function recordMade(deps: RelayDeps, call: Call, event: UsageEvent, ended: EndedAnswer): Promise<boolean> {
  const { made } = call;
  const note = () => made && call.request!.noteMade?.(deps, call, made, ended);
  if (!made?.paused) {
    const listed = note();
    const recorded = await record(deps, call, event);
    if (listed) await listed;
    return recorded;
  }
  await redeem(deps, call, "paused");
  const recorded = await record(deps, call, event);
  if (recorded) await note();
  return recorded;
}

async function dropHold(deps: RelayDeps, call: Call): Promise<void> {
  call.holdOpen = false;
  await releaseWithin(deps, call.id);
}

/** A provider's usage that does not add up or cannot be read is for the operator to see. */
function reportOddities(deps: RelayDeps, call: Call): void {
  const unreadable = call.reader?.unreadableUsage ?? call.unreadableUsage;
  const said = (call.reader ? call.reader.usage : call.usage)?.notes ?? (unreadable ? ["the usage cannot be read"] : []);
  const notes = call.notes.length > 0 ? [...said, ...call.notes] : said;
  if (notes.length === 0) return;
  const { principal } = call.caller!;
  deps.log.warn({ trace_id: call.traceId, provider: call.candidate?.provider.name, notes }, "a provider's usage does not add up");
  deps.incident({
    kind: unreadable ? "usage_unreadable" : notes.some((note) => note.includes("would be")) ? "usage_clamped" : "usage_disagrees",
    subject: call.id,
    userId: principal.userId,
    walletId: principal.walletId,
    details: { notes, provider: call.candidate?.provider.name ?? null },
  });
}
