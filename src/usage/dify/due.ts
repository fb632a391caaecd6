import type { Ledger, LateHold, SettleResult } from "../../ledger/index.ts";
import { PATIENCE_MS } from "../../platform/locked.ts";
import { isLockTimeout, type PoolClient } from "../../platform/postgres.ts";
import { eventJson, shardOf, type UsageEvent } from "../event.ts";
import type { PendingEvent } from "../repository.ts";
import type { Prepared, Settlement } from "../settlement.ts";
import { HeldUp } from "./busy.ts";
import { noteTokens, type Recorded, type RelayedEvent } from "./relayed.ts";
import type { HeldRuns } from "./runs.ts";
import { pendingOf, type Payment, type Unpaid } from "./reported.ts";

export interface ChargeDeps {
  settlement: Pick<Settlement, "prepare">;
  ledger: Pick<Ledger, "holdingSince" | "shortfalls" | "unlocked" | "holdLate">;
  shards: number;
  /** Runs whose holds are kept for them until what they used is known; without it there are none. */
  heldRuns?: HeldRuns;
}

/** A usage event that this report makes, and who pays for it. */
export interface Made {
  event: UsageEvent;
  payment: Payment;
}

/** What holds used, for quotas that count tokens. */
const usedOf = (made: Iterable<Made>): { holdId: string; tokens: number }[] =>
  [...made].flatMap(({ event: { tokens }, payment: { call } }) =>
    call?.quotaWeight ? [{ holdId: call.callId, tokens: (tokens.input + tokens.output) * call.quotaWeight }] : [],
  );

/** The holds of what no call has one for, on the limits of what came before it. */
const lateOf = (made: Iterable<Made>): LateHold[] =>
  [...made].flatMap(({ event: { id, walletId, tokens }, payment: { after } }) =>
    after ? [{ id, walletId, of: [after.eventId], tokens: after.quotaWeight && (tokens.input + tokens.output) * after.quotaWeight }] : [],
  );

/** What is to be settled of messages: what they make themselves, and what the relay recorded of them. */
export interface Due {
  made: ReadonlyMap<string, Made>;
  recorded: ReadonlyMap<string, Recorded>;
  events: ReadonlyMap<string, RelayedEvent>;
  waiting: readonly PendingEvent[];
}

/** The wallets that each message needs, of its own event or of those of the relay's that are chosen. */
function needsOf(messages: readonly Unpaid[], { made, recorded, events }: Due, chosen: (event: RelayedEvent) => boolean) {
  const needs = messages.map(({ id, message }): [string, bigint[]] => {
    const parts = (recorded.get(message.messageId)?.parts ?? []).flatMap(({ eventId }) => events.get(eventId) ?? []);
    const own = made.get(id);
    return [id, [...(own ? [own.event.walletId] : []), ...parts.filter(chosen).map(({ walletId }) => walletId)]];
  });
  return new Map(needs.filter(([, wallets]) => wallets.length > 0));
}

/** Charges of usage events, against locked wallets; rejects with {@link HeldUp} when somebody keeps one, or is settling an event. */
export async function prepare(tx: PoolClient, deps: ChargeDeps, messages: readonly Unpaid[], due: Due): Promise<Prepared> {
  const locked = new Set(due.waiting.map(({ id }) => id));
  const elsewhere = ({ id, settledAt, setAside }: RelayedEvent) => !settledAt && !setAside && !locked.has(id);
  const busy = needsOf(messages, { ...due, made: new Map() }, elsewhere);
  if (busy.size > 0) throw new HeldUp(busy);
  const unrecorded = new Map([...due.made].map(([id, { event }]) => [id, eventJson(event, shardOf(event.walletId, deps.shards))]));
  try {
    const wallets = [...[...due.made.values()].map(({ event }) => event.walletId), ...due.waiting.map((event) => event.wallet_id)];
    const late = await deps.ledger.holdLate(tx, lateOf(due.made.values()), { wallets, patienceMs: PATIENCE_MS });
    const fresh = [...due.made.values()].map(({ event, payment: { call } }) =>
      pendingOf(event, call?.callId ?? (late.has(event.id) ? event.id : undefined)),
    );
    const prepared = await deps.settlement.prepare(tx, [...fresh, ...due.waiting], { unrecorded, patienceMs: PATIENCE_MS });
    await noteTokens(tx, fresh, usedOf(due.made.values()));
    return prepared;
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    throw new HeldUp(
      needsOf(messages, due, ({ id }) => locked.has(id)),
      { cause: error },
    );
  }
}

/** An event as it is when its charge is made. */
export const chargedBy = (charge: SettleResult | undefined, event: RelayedEvent): RelayedEvent =>
  charge ? { ...event, cost: charge.charged + charge.owed, owed: charge.owed, settledAt: new Date() } : event;
