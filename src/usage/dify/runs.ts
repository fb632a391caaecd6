import type { Ledger } from "../../ledger/index.ts";
import { appError } from "../../platform/errors.ts";
import { uuidv7 } from "../../platform/ids.ts";
import type { PoolClient, Queryable } from "../../platform/postgres.ts";
import { difyMessageKey } from "../difyMessage.ts";
import { eventJson, shardOf, type UsageEvent } from "../event.ts";
import type { MessageCall } from "../messageCalls.ts";
import type { Settlement } from "../settlement.ts";
import { noteTokens, recordedOf } from "./relayed.ts";
import { pendingOf } from "./reported.ts";
import { claimMessages } from "./repository.ts";

/** The route that the rest of a run is recorded under: there somebody might have read it. */
const ROUTE = "/dify/v1/workflow/:id/events";

/** A run that went on, and who pays for it by which terms. */
export interface OwedRun extends Omit<MessageCall, "messageKey" | "callId" | "calledAt"> {
  run: string;
  /** What it is charged by: its message's id, or its own. */
  charge: string;
  /** A hold that is open for it; without one, what the wallet does not cover is owed. */
  holdId: string | null;
  /** The call that let it go on last, and when that began: what is charged is dated by it, and counts on its limits. */
  beganBy: string | null;
  beganAt: Date;
}

/** A run that goes on by the hold of a call, which need not live any more. */
export interface HeldRun extends Omit<MessageCall, "messageKey"> {
  charge: string;
}

/** Those of wallets. */
export type HeldRuns = (tx: Queryable, walletIds: readonly bigint[]) => Promise<HeldRun[]>;

/** What Dify says that all of a run has used. */
export interface RunTotal {
  tokens: number;
  /** How much of it is taken for input, in percent. */
  inputPercent: number;
  /** It waits for a person again: more may come. */
  paused: boolean;
}

export type RunCharge =
  /**
   * `settled`: the tokens that are on record with it. `settle` makes the charge, and closes the hold: the last statement of the transaction.
   * `committed` is to be called after the commit.
   */
  | { outcome: "charged"; settled: number; settle(): Promise<void>; committed(): void }
  /** Nothing is left. */
  | { outcome: "nothing"; settled: number }
  /** Somebody else recorded some of it at this moment: it is to be looked at again. */
  | { outcome: "met" };

/** The key of what is still to come of a run, undefined when all of it is recorded, and the tokens before it. */
async function restOf(tx: PoolClient, charge: string): Promise<{ key: string | undefined; before: number; last?: string }> {
  const found = (await recordedOf(tx, [charge])).get(charge);
  if (!found) return { key: difyMessageKey(charge), before: 0 };
  return { key: found.next, before: found.parts.at(-1)!.pausedAt ?? 0, last: found.parts.at(-1)!.eventId };
}

/**
 * Charges what nobody has been charged for of a run, in the caller's transaction: recorded and settled by the key that the relay and the
 * webhook have for it, so once.
 */
export async function chargeRun(
  tx: PoolClient,
  deps: { settlement: Pick<Settlement, "prepare">; ledger: Pick<Ledger, "holdLate">; shards: number },
  run: OwedRun,
  { tokens: total, inputPercent, paused }: RunTotal,
): Promise<RunCharge> {
  const { key, before, last } = await restOf(tx, run.charge);
  if (key === undefined || total <= before) return { outcome: "nothing", settled: before };
  const inputOf = (tokens: number): number => Math.ceil((tokens * inputPercent) / 100);
  const input = inputOf(total) - inputOf(before);
  const event = eventOf(run, key, { input, output: total - before - input });
  if ((await claimMessages(tx, [event])).length > 0) return { outcome: "met" };
  if (paused) await tx.query("UPDATE usage_messages SET paused_at = $2 WHERE message_key = $1", [key, total]);
  const used = run.quotaWeight && (total - before) * run.quotaWeight;
  const late = { id: event.id, walletId: run.walletId, of: [run.beganBy, last].filter((id) => typeof id === "string"), tokens: used };
  const held = await deps.ledger.holdLate(tx, run.holdId === null ? [late] : [], { wallets: [run.walletId] });
  const pending = pendingOf(event, held.has(event.id) ? event.id : run.holdId);
  const unrecorded = new Map([[event.id, eventJson(event, shardOf(run.walletId, deps.shards))]]);
  const { charges, settle, committed } = await deps.settlement.prepare(tx, [pending], { unrecorded });
  if (!charges.has(event.id)) throw appError("internal_error", { message: `the run ${run.run} has no price` });
  if (run.holdId !== null && used !== null) await noteTokens(tx, [pending], [{ holdId: run.holdId, tokens: used }]);
  return { outcome: "charged", settled: total, settle, committed };
}

/** Says in the caller's transaction that what is still to come of a run costs nothing: it has failed. */
export async function waiveRun(tx: PoolClient, { charge }: Pick<OwedRun, "charge">): Promise<void> {
  const { key } = await restOf(tx, charge);
  if (key !== undefined) await tx.query("SELECT usage_waive_messages(ARRAY[$1::uuid], ARRAY[$2::uuid], ARRAY[now()])", [key, uuidv7()]);
}

function eventOf(run: OwedRun, messageKey: string, { input, output }: { input: number; output: number }): UsageEvent {
  const id = uuidv7();
  return {
    id,
    requestId: id,
    userId: run.userId,
    walletId: run.walletId,
    keyId: run.keyId,
    tokenId: run.tokenId,
    model: run.model,
    providerId: run.providerId,
    providerName: run.providerName,
    route: ROUTE,
    priceVersionId: run.priceVersionId,
    priceMultiplier: run.priceMultiplier,
    tokens: { input, cachedInput: 0, cacheWrite: 0, output, reasoning: 0 },
    status: "ok",
    errorCode: null,
    estimated: false,
    startedAt: run.beganAt,
    firstChunkMs: null,
    durationMs: 0,
    httpStatus: 200,
    clientIp: null,
    retryCount: 0,
    stream: false,
    upstreamRequestId: run.run,
    messageKey,
  };
}
