import { isLockTimeout, type PoolClient } from "../../platform/postgres.ts";
import { accountOfDifyUser, difyMessageKey } from "../difyMessage.ts";
import { callsOf } from "../messageCalls.ts";
import { takeEvents } from "../repository.ts";
import { HeldUp, namesOf } from "./busy.ts";
import { chargedBy, prepare, type ChargeDeps, type Made } from "./due.ts";
import type { DifyMessage } from "./message.ts";
import { ownOutcome, relayedOutcome, stillOpen, waitsForRelay, type Outcome } from "./outcome.ts";
import { payerOf, tokensOf } from "./price.ts";
import { recordedOf, relayedEvents, type Claim, type Recorded, type RelayedEvent } from "./relayed.ts";
import { paymentAfter, paymentAs, paymentOf, usageEventOf, type Unpaid } from "./reported.ts";
import { claimMessages } from "./repository.ts";
import type { HeldRun } from "./runs.ts";

/** Messages whose charges are known, with their wallets locked; nothing that others share is. */
export interface Charged {
  /** One per message, in order: what has become of it once `settle` was called. */
  outcomes: Outcome[];
  /** Makes the charges: the last statement of the transaction. What the outcomes say is to be written before. */
  settle(): Promise<void>;
  /** To be called after the commit. */
  committed(): void;
}

/** The database's clock and ours may be so far apart. */
const CLOCKS_MS = 10_000;

/** Claims the messages of what is made; the ids of those that were recorded before. */
async function claimAll(tx: PoolClient, made: ReadonlyMap<string, Made>, messages: readonly Unpaid[]): Promise<ReadonlySet<string>> {
  const events = [...made.values()].map(({ event }) => event);
  try {
    return new Set(await claimMessages(tx, events));
  } catch (error) {
    throw isLockTimeout(error) ? new HeldUp(namesOf(messages.filter(({ id }) => made.has(id))), { cause: error }) : error;
  }
}

/** What is known of messages of which no call has been noted, by their ids. */
interface Awaited {
  /** They wait until it is known what the open holds of their wallet are for. */
  waits: ReadonlySet<string>;
  /** The call that their run goes on by, though that may be gone: its hold is kept for them. */
  runs: ReadonlyMap<string, HeldRun>;
}

/**
 * Messages under names that the relay gave to Dify, of which no call has been noted yet, while a hold of their wallet is open: it may be
 * their own, and what it keeps is theirs. They wait until it is known, or closed. A hold that is kept for a run is that run's.
 */
async function awaited(tx: PoolClient, deps: ChargeDeps, messages: readonly Unpaid[]): Promise<Awaited> {
  const asked = messages.flatMap((unpaid) => {
    const walletId = payerOf(unpaid.decision)?.walletId;
    const before = new Date(unpaid.receivedAt.getTime() + CLOCKS_MS);
    const { messageId, user } = unpaid.message;
    return walletId !== undefined && accountOfDifyUser(user) ? [{ id: unpaid.id, messageId, walletId, before }] : [];
  });
  if (asked.length === 0) return { waits: new Set(), runs: new Map() };
  const held = (await deps.heldRuns?.(tx, [...new Set(asked.map(({ walletId }) => walletId))])) ?? [];
  const byCharge = new Map(held.map((run) => [run.charge, run]));
  const runs = new Map(asked.flatMap(({ id, messageId }) => [byCharge.get(messageId)].flatMap((run) => (run ? [[id, run] as const] : []))));
  const rest = asked.filter(({ id }) => !runs.has(id));
  const except = held.map(({ callId }) => callId);
  const holding = rest.length === 0 ? new Set<bigint>() : await deps.ledger.holdingSince(tx, rest, except);
  return { waits: new Set(rest.flatMap(({ id, walletId }) => (holding.has(walletId) ? [id] : []))), runs };
}

/** What a message has beyond what was recorded of it before its run paused; undefined when that is all. */
function restOf(message: DifyMessage, parts: readonly RelayedEvent[]): { input: number; output: number } | undefined {
  let [input, output] = [message.inputTokens, message.outputTokens];
  for (const part of parts) [input, output] = [input - part.input, output - part.output];
  const rest = input + output;
  if (rest <= 0) return undefined;
  // Parts of a run are parted by rule: where one side had more than is reported, the other gives way.
  const kept = Math.min(rest, Math.max(0, input));
  return { input: kept, output: rest - kept };
}

/** What is left to charge of messages that were recorded in part. */
async function restsOf(
  tx: PoolClient,
  deps: ChargeDeps,
  messages: readonly Unpaid[],
  recorded: ReadonlyMap<string, Recorded>,
): Promise<{ made: Map<string, Made>; waits: Set<string> }> {
  const paused = messages.flatMap((unpaid) => {
    if (isKept(unpaid)) return [];
    const { parts, next } = recorded.get(unpaid.message.messageId) ?? {};
    return parts && next !== undefined ? [{ unpaid, parts, next }] : [];
  });
  const made = new Map<string, Made>();
  const waits = new Set<string>();
  if (paused.length === 0) return { made, waits };
  const events = await relayedEvents(
    tx,
    deps.ledger,
    paused.flatMap(({ parts }) => parts),
  );
  const calls = await callsOf(
    tx,
    paused.flatMap(({ parts, next }) => [next, parts[0]!.messageKey]),
  );
  const maybe = await awaited(
    tx,
    deps,
    paused.filter(({ next }) => !calls.has(next)).map(({ unpaid }) => unpaid),
  );
  for (const { unpaid, parts, next } of paused) {
    const before = parts.flatMap(({ eventId }) => events.get(eventId) ?? []);
    const rest = before.length < parts.length ? undefined : restOf(unpaid.message, before);
    if (!rest) continue;
    if (maybe.waits.has(unpaid.id)) {
      waits.add(unpaid.id);
      continue;
    }
    const call = calls.get(next) ?? maybe.runs.get(unpaid.id);
    const payment = call ? paymentAs(call) : paymentAfter(before[0]!, unpaid.message, calls.get(parts[0]!.messageKey)?.quotaWeight ?? null);
    made.set(unpaid.id, { event: usageEventOf(unpaid.id, unpaid.message, payment, rest, next), payment });
  }
  return { made, waits };
}

/** Its numbers contradict each other, and nobody has said yet that its parts count. */
const isKept = ({ decision }: Unpaid): boolean => decision.kind === "open" && decision.reason === "totals_disagree";

/** Whether something of a recorded message is to come under its next key. */
const goesOn = (recorded: Recorded | undefined): boolean => recorded?.next !== undefined;

/**
 * Charges messages in the caller's transaction: each is recorded as a usage event and settled by the settlement that settles relayed calls;
 * one that a relayed call is just making as that call, against its hold. One that the relay has recorded before costs what the relay's
 * events cost, which are settled here when they are not yet, and what came after them when its run had paused. Rejects with
 * {@link HeldUp} when somebody keeps a wallet or a message locked; then nothing was done.
 */
export async function chargeMessages(tx: PoolClient, deps: ChargeDeps, messages: readonly Unpaid[]): Promise<Charged> {
  const calls = await callsOf(
    tx,
    messages.map(({ message }) => difyMessageKey(message.messageId)),
  );
  const callOf = ({ message }: Unpaid) => calls.get(difyMessageKey(message.messageId));
  const { waits, runs } = await awaited(
    tx,
    deps,
    messages.filter((unpaid) => !callOf(unpaid) && !isKept(unpaid)),
  );
  const made = new Map<string, Made>();
  for (const unpaid of messages) {
    const { id, message, decision } = unpaid;
    // What contradicts itself says nothing about a call of ours either, which records itself.
    const call = isKept(unpaid) ? undefined : (callOf(unpaid) ?? runs.get(id));
    const payment = call ? paymentAs(call) : decision.kind === "charge" && !waits.has(id) ? paymentOf(decision.charge, message) : undefined;
    if (payment) made.set(id, { event: usageEventOf(id, message, payment, tokensOf(message)), payment });
  }
  for (const id of await claimAll(tx, made, messages)) made.delete(id);

  // Whoever is not known here, or whose model is not, may have been charged by the relay all the same.
  const seconds = messages.filter(({ id }) => !made.has(id));
  const idsOf = (of: readonly Unpaid[]): string[] => of.map(({ message }) => message.messageId);
  const recorded = seconds.length === 0 ? new Map<string, Recorded>() : await recordedOf(tx, idsOf(seconds));
  const rests = await restsOf(tx, deps, seconds, recorded);
  const taken = await claimAll(tx, rests.made, messages);
  const late = seconds.filter(({ id, message }) => taken.has(id) && goesOn(recorded.get(message.messageId)));
  if (late.length > 0) for (const [id, found] of await recordedOf(tx, idsOf(late))) recorded.set(id, found);
  for (const [id, one] of rests.made) if (!taken.has(id)) made.set(id, one);

  const parts = new Map<string, Claim>();
  for (const { parts: claims } of recorded.values()) for (const claim of claims) parts.set(claim.eventId, claim);
  const waiting = await takeEvents(
    tx,
    [...parts.values()].map(({ eventId: id, eventAt: at }) => ({ id, at })),
  );
  const events = await relayedEvents(tx, deps.ledger, [...parts.values()]);
  const { charges, settle, committed } = await prepare(tx, deps, messages, { made, recorded, events, waiting });

  const outcomes = messages.map((unpaid): Outcome => {
    const { id, message, decision } = unpaid;
    const found = recorded.get(message.messageId);
    const own = made.get(id);
    const before = (found?.parts ?? []).map((claim) => {
      const event = events.get(claim.eventId);
      return { claim, event: event && chargedBy(charges.get(claim.eventId), event) };
    });
    if (own) return ownOutcome(unpaid, own, charges.get(id), before);
    if (rests.waits.has(id)) return waitsForRelay(unpaid);
    if (found && !(isKept(unpaid) && goesOn(found))) return relayedOutcome(unpaid, before, charges);
    if (waits.has(id)) return waitsForRelay(unpaid);
    return stillOpen(unpaid, decision.kind === "open" ? decision.reason : "relay_waits");
  });
  return { outcomes, settle, committed };
}
