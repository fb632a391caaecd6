import type { Ledger } from "../../../ledger/index.ts";
import type { Logger } from "../../../platform/logger.ts";
import { inTransaction, type Pool, type PoolClient } from "../../../platform/postgres.ts";
import type { TokenClasses } from "../../../pricing/index.ts";
import { chargeRun, createReadyDays, owing, waiveRun, type Incident, type Settlement } from "../../../usage/index.ts";
import { settingsOf } from "../../formats/dify/apps.ts";
import { partTotal } from "../../formats/dify/usage.ts";
import type { RelayDeps } from "../../pipeline/deps.ts";
import type { Catalog } from "../../providers/index.ts";
import type { Upstream } from "../../upstream/exchange.ts";
import { noteRunTokens } from "../owned/index.ts";
import { createAskRuns, type Look } from "./ask.ts";
import { deleteRun, lockRun, takeDue, updateLooked, type RunRow } from "../runs/index.ts";
import { FOLLOWED_MS, HELD_MS, MOST_TRIES, nextLook, PAUSED_MS, REPORTED_MS, RUNNING_MS } from "../runs/pace.ts";

export interface ChaseDeps {
  pool: Pool;
  log: Logger;
  ledger: Pick<Ledger, "stillHeld" | "heldWithin" | "releaseWithin" | "holdLate">;
  settlement: Pick<Settlement, "prepare">;
  shards: number;
  catalog: Pick<Catalog, "providers" | "route" | "difyApps">;
  pricing: RelayDeps["pricing"];
  upstream: Pick<Upstream, "send">;
  incident(incident: Incident): void;
  /** How long Dify's webhook has for a message that has ended, for it has its exact counts; 0 where there is none. */
  webhookMs: number;
}

/** Asks Dify for the runs that are due, and charges what no call has read of them. Never rejects; answers how many it looked at. */
export type RunChase = () => Promise<number>;

/** Runs asked for at once, and how long one pass of the worker goes on. */
const AT_ONCE = 16;
const PASS_MS = 15_000;
/** Nobody else asks meanwhile. */
const LEASE_MS = 60_000;

type Next = Parameters<typeof updateLooked>[2];

/** Creates the chase; it may run at any time, twice, and on several workers. */
export function createRunChase(deps: ChaseDeps): RunChase {
  const { pool, log, ledger, incident } = deps;
  const asking = createAskRuns(deps);
  const readyDays = createReadyDays(deps);

  async function chase(run: RunRow): Promise<void> {
    if (run.state === "followed" && (await ledger.stillHeld([run.callId!])).length > 0) return wait(run, { lookMs: FOLLOWED_MS });
    const look = await asking.look(run);
    if (look.kind === "unknown") return tryAgain(run, look.why);
    if (look.kind === "running") return goesOn(run);
    if (look.kind === "ended" && run.ofMessage && isFresh(look)) return wait(run, { lookMs: REPORTED_MS });
    const done = look.kind === "failed" ? waive(run) : settle(run, look);
    await done.catch((error: unknown) => {
      log.warn({ err: error, run: run.run }, "a run of Dify's could not be settled");
      return tryAgain(run, (error as Error).message);
    });
  }

  /** The clocks of Dify and of this process may be apart: what ended long hence has ended. */
  const isFresh = ({ endedAt }: { endedAt: Date | undefined }): boolean =>
    endedAt !== undefined && Math.abs(Date.now() - endedAt.getTime()) < deps.webhookMs;

  const ageOf = (run: RunRow): number => Date.now() - run.since.getTime();

  /** The hold that was made for a run. One whose call recorded what it owes before it was lost is that record's. */
  const holdOf = async (tx: PoolClient, { callId }: RunRow): Promise<string | null> =>
    callId === null || (await owing(tx, [callId])).length > 0 ? null : callId;

  /** The same while there is credit in it. */
  async function openHoldOf(tx: PoolClient, run: RunRow): Promise<string | null> {
    const holdId = await holdOf(tx, run);
    return holdId !== null && (await ledger.heldWithin(tx, holdId)) > 0n ? holdId : null;
  }

  async function release(tx: PoolClient, run: RunRow): Promise<void> {
    const holdId = await holdOf(tx, run);
    if (holdId !== null) await ledger.releaseWithin(tx, holdId);
  }

  /** Asks again later. What is not said stays as it is. */
  const wait = (run: RunRow, next: Partial<Next>): Promise<void> =>
    inTransaction(pool, async (tx) => {
      if (!(await lockRun(tx, run))) return;
      if (next.callId === null) await release(tx, run);
      await updateLooked(tx, run, { state: run.state, callId: run.callId, since: run.since, tries: 0, lookMs: FOLLOWED_MS, ...next });
    });

  /** Somebody has let it go on, or its call is gone. Its credit is held for some time; it is stopped when it takes too long. */
  async function goesOn(run: RunRow): Promise<void> {
    if (run.state !== "left") return wait(run, { state: "left", since: undefined, lookMs: nextLook("left", 0, 0) });
    const ageMs = ageOf(run);
    const callId = ageMs > HELD_MS ? null : run.callId;
    if (ageMs <= RUNNING_MS) return wait(run, { callId, lookMs: nextLook("left", ageMs, 0) });
    await asking.stop(run);
    return tryAgain(run, "it does not stop");
  }

  /** Nothing is charged of one that has failed, whoever reports it. */
  const waive = (run: RunRow): Promise<void> =>
    inTransaction(pool, async (tx) => {
      if (!(await lockRun(tx, run))) return;
      await waiveRun(tx, run);
      await release(tx, run);
      await deleteRun(tx, run);
    });

  /** Charges what nobody was charged for. A run that waits for a person again is looked at again, any other is forgotten. */
  async function settle(run: RunRow, { kind, tokens }: Extract<Look, { tokens: number }>): Promise<void> {
    const paused = kind === "paused";
    const { inputPercent } = await settingsOf(deps, run.model);
    await readyDays([run.beganAt]);
    const charge = await inTransaction(pool, async (tx) => {
      if (!(await lockRun(tx, run))) return undefined;
      const holdId = await openHoldOf(tx, run);
      const done = await chargeRun(tx, deps, { ...run, holdId }, { tokens, inputPercent, paused });
      if (done.outcome === "met") {
        await updateLooked(tx, run, { ...run, lookMs: nextLook("left", 0, 0) });
        return undefined;
      }
      if (done.outcome === "nothing" || holdId === null) await release(tx, run);
      const fresh = done.outcome === "charged" || run.state !== "paused";
      if (paused && (fresh || ageOf(run) <= PAUSED_MS)) await waitsOn(tx, run, partTotal(done.settled, inputPercent), fresh);
      else await deleteRun(tx, run);
      if (done.outcome === "charged") await done.settle();
      return done;
    });
    if (charge?.outcome !== "charged") return;
    charge.committed();
    log.info({ run: run.run, provider: run.providerName }, "what no call had read of a run of Dify's was charged");
  }

  /** The next part of it is charged by what is on record now; a process may have been lost before it could note that. */
  async function waitsOn(tx: PoolClient, run: RunRow, settled: TokenClasses, fresh: boolean): Promise<void> {
    const since = fresh ? undefined : run.since;
    const lookMs = nextLook("paused", fresh ? 0 : ageOf(run), 0);
    await updateLooked(tx, run, { state: "paused", callId: null, since, tries: 0, lookMs });
    await noteRunTokens(tx, run.owner, [run.run, ...(run.task === null ? [] : [run.task])], settled);
  }

  const forget = (run: RunRow): Promise<void> =>
    inTransaction(pool, async (tx) => {
      if (!(await lockRun(tx, run))) return;
      await release(tx, run);
      await deleteRun(tx, run);
    });

  /** Nothing was found out. After so many times an operator is told, and nobody asks any more. */
  async function tryAgain(run: RunRow, why: string): Promise<void> {
    const tries = run.tries + 1;
    const lookMs = nextLook(run.state, ageOf(run), tries);
    if (run.state === "followed") return wait(run, { state: "left", since: undefined, tries, lookMs });
    const waits = run.state === "paused" && ageOf(run) <= PAUSED_MS;
    if (waits || tries < MOST_TRIES) return wait(run, { callId: ageOf(run) > HELD_MS ? null : run.callId, tries, lookMs });
    await forget(run);
    log.error({ run: run.run, provider: run.providerName, why }, "what a run of Dify's has used could not be found out");
    incident({
      kind: "run_unpaid",
      subject: `${run.providerId}:${run.run}`,
      userId: run.userId,
      walletId: run.walletId,
      details: { run: run.run, provider: run.providerName, model: run.model, state: run.state, why, asked: tries },
    });
  }

  return async () => {
    const until = Date.now() + PASS_MS;
    let looked = 0;
    try {
      for (let some = AT_ONCE; some === AT_ONCE && Date.now() < until; looked += some) {
        const due = await takeDue(pool, AT_ONCE, LEASE_MS);
        some = due.length;
        await Promise.all(due.map(chase));
      }
    } catch (error) {
      log.warn({ err: error }, "runs of Dify's are asked for later");
    }
    return looked;
  };
}
