import { setTimeout as delay } from "node:timers/promises";
import type { Invalidation } from "../../platform/invalidation.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { Redis } from "../../platform/redis.ts";
import { createAbsence } from "./absence.ts";
import { createSharedClock } from "./clock.ts";
import { createLocalLimiter } from "./local.ts";
import { createStandby } from "./standby/index.ts";
import { createLimitStore } from "./store.ts";
import type { Ask, Check, Limiter, LimitVerdict, Permit } from "./types.ts";

export { plansOf } from "./callers.ts";
export { limitRoutes } from "./settings/routes.ts";
export { allWeights, createSharedLimits, type SharedLimits } from "./settings/shared.ts";
export { createPermitWait, type PermitWait } from "./permitWait.ts";
export { createShadowLog } from "./shadow.ts";
export { createStrangers, type Strangers } from "./strangers.ts";
export type { Limiter, LimitVerdict, Permit } from "./types.ts";

interface Waiting {
  ask: Ask;
  sinceMs: number;
  /** Undefined once it is decided elsewhere. */
  resolve: ((verdict: LimitVerdict) => void) | undefined;
  /** What was decided elsewhere. */
  permit: Permit | undefined;
}

export interface LimiterDeps {
  redis: Redis;
  log: Logger;
  /** How long a permit lives that nobody renews. */
  leaseMs: number;
  /** Where copies count together while Redis is away; without it each counts for itself. `owner` names this copy. */
  standby?: { pool: Pool; invalidation: Pick<Invalidation, "on">; owner: string };
  now?: () => number;
  /** Told of each call that a limit which is only looked at would have refused. */
  shadowed?: (check: Check) => void;
  /** Told of each permit that has ended. */
  freed?: (permit: Permit) => void;
}

const UNLIMITED: LimitVerdict = { allowed: true, permit: undefined, requests: undefined, tokens: undefined };
/** After this long without an answer Redis counts as away. */
const SLOW_MS = 200;
/** After this long nothing is hoped for any more. */
const GIVEN_UP_MS = 1_000;
/** How often that is looked at, and after how many looks in vain no more. */
const LOOK_MS = 100;
const IDLE_LOOKS = 50;
const FIND_MS = 1_000;
const SWEEP_MS = 60_000;
const ASK_MS = 10;

const ignore = (): undefined => undefined;

/**
 * The limits of all copies together. They are counted in Redis; while any copy cannot use it, in Postgres; and if that fails too each copy
 * applies the same rules for itself.
 */
export function createLimiter(deps: LimiterDeps): Limiter {
  const { redis, log, leaseMs, shadowed = ignore, freed = ignore } = deps;
  const now = deps.now ?? (() => performance.now());
  const clock = createSharedClock(now());
  const sharedNow = (): number => clock.at(now());
  const local = createLocalLimiter(shadowed);
  const store = createLimitStore(redis, leaseMs);
  const standby = deps.standby && createStandby({ ...deps.standby, leaseMs, shadowed });
  const waiting: Waiting[] = [];
  let answers = 0;
  let looking: NodeJS.Timeout | undefined;
  let idleLooks = 0;
  let sweptMs = now();
  let renewedMs = now();

  const absence = createAbsence({
    log,
    now,
    say: async (word) => standby?.say(word),
    anyAway: async () => (await standby?.anyAway()) ?? false,
    async enter() {
      const sinceMs = now();
      await answered();
      if (!standby) return;
      await standby.tell(local.known(sharedNow()), local.permits, sharedNow());
      await standby.gathered(now() - sinceMs);
    },
    async recover() {
      if (!(await store.answers(SLOW_MS))) return false;
      // It may have come back empty, or as it was before.
      store.catchUp();
      store.renew(local.permits);
      store.tell(local.known(sharedNow()));
      return store.answers(SLOW_MS);
    },
  });
  deps.standby?.invalidation.on("limits", (id) => absence.heard(id === "standby" || id === "back" ? id : undefined));

  /** What is on its way to Redis may be counted there and its answer still come; only then is it decided elsewhere, lest it count twice. */
  async function answered(): Promise<void> {
    for (let waitedMs = 0; waitedMs < SLOW_MS && waiting.some((item) => item.resolve); waitedMs += ASK_MS) await delay(ASK_MS);
    decideAllElsewhere();
  }

  function decideAllElsewhere(): void {
    for (const item of waiting.splice(0)) if (item.resolve) decideElsewhere(item);
  }

  /** Decides without Redis. Never rejects. */
  async function decide(ask: Ask): Promise<LimitVerdict> {
    if (standby) {
      try {
        if ((await absence.settled()) === "redis") return await askRedis(ask);
        const { verdict, windows } = await standby.admit(ask, sharedNow());
        const permit = verdict.allowed ? verdict.permit : undefined;
        local.adopt(windows, permit);
        // So that nothing is missing there when all copies return to it.
        store.tell(windows);
        if (permit) store.renew([permit]);
        return verdict;
      } catch (error) {
        log.warn({ err: error }, "limits are kept by this process alone for now");
      }
    }
    return local.admit(ask, sharedNow());
  }

  function askRedis(ask: Ask): Promise<LimitVerdict> {
    return new Promise((resolve) => {
      const item: Waiting = { ask, sinceMs: now(), resolve, permit: undefined };
      waiting.push(item);
      store.admit(ask).then(
        (reply) => answer(item, reply),
        (error: unknown) => {
          absence.lost(String((error as Error).message));
          if (item.resolve) decideElsewhere(item);
        },
      );
      forgetDecided();
      looking ??= setInterval(look, LOOK_MS).unref();
    });
  }

  /** Notices a Redis that answers nothing any more. */
  function look(): void {
    forgetDecided();
    const oldest = waiting[0];
    idleLooks = oldest ? 0 : idleLooks + 1;
    if (idleLooks > IDLE_LOOKS) {
      clearInterval(looking);
      looking = undefined;
      idleLooks = 0;
    }
    if (!oldest || now() - oldest.sinceMs <= SLOW_MS) return;
    const before = answers;
    // When this process was busy the answer may be here unread; it is read before this runs.
    setImmediate(() => {
      if (answers !== before) return;
      absence.lost("slow");
      if (now() - oldest.sinceMs > GIVEN_UP_MS) decideAllElsewhere();
    });
  }

  /** Redis has not decided in time, or has failed. */
  function decideElsewhere(item: Waiting): void {
    const { ask, resolve } = item;
    item.resolve = undefined;
    void decide(ask).then((verdict) => {
      if (verdict.allowed) item.permit = verdict.permit;
      // It may have counted the call all the same.
      else giveBack(ask);
      resolve?.(verdict);
    });
  }

  function answer(item: Waiting, reply: number[]): void {
    answers += 1;
    clock.heard(reply[1]!, item.sinceMs, now());
    const { ask, resolve } = item;
    item.resolve = undefined;
    if (resolve) return resolve(local.follow(ask, reply));
    // Decided elsewhere meanwhile. What Redis has counted stays if the call runs; else its permit goes back.
    if (reply[0] === 0 && item.permit && !local.permits.has(item.permit)) giveBack(ask);
  }

  /** Returns what Redis may have taken for a call that does not run. */
  function giveBack({ plan, callId, weightPercent }: Ask): void {
    const sets = plan.checks.slice(plan.rates).map(({ id }) => id);
    if (sets.length > 0) store.release({ id: callId, sets, reserved: [], weightPercent }, []);
  }

  /** Answers come in order: the head of the queue is the oldest one still open. */
  function forgetDecided(): void {
    while (waiting.length > 0 && waiting[0]!.resolve === undefined) waiting.shift();
  }

  function renew(): void {
    store.renew(local.permits);
    if (absence.away) standby?.renew(sharedNow()).catch(ignore);
  }

  return {
    admit(ask) {
      if (ask.plan.checks.length === 0) return Promise.resolve(UNLIMITED);
      if (!store.ready) absence.lost("gone");
      if (absence.away) return decide(ask);
      return askRedis(ask);
    },
    release(permit, tokens) {
      const by = local.release(permit, tokens, sharedNow());
      if (!by) return;
      store.release(permit, by);
      if (absence.away) standby?.release(permit, by, sharedNow()).catch(ignore);
      freed(permit);
    },
    tick(nowMs) {
      if (nowMs - renewedMs > leaseMs / 3) {
        renewedMs = nowMs;
        renew();
      }
      if (nowMs - sweptMs > SWEEP_MS) {
        sweptMs = nowMs;
        local.sweep(clock.at(nowMs));
      }
    },
    get away() {
      return !store.ready || absence.away;
    },
    ready: store.ready
      ? Promise.resolve()
      : Promise.race([
          new Promise<void>((resolve) => void redis.once("ready", () => resolve())),
          delay(FIND_MS, undefined, { ref: false }),
        ]),
    async stop() {
      clearInterval(looking);
      absence.stop();
      await standby?.stop();
    },
  };
}
