import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "../../platform/redis.ts";
import type { NamedWindow } from "./local.ts";
import { admitScript, RELEASE, renewScript, TELL } from "./script.ts";
import type { Ask, Permit } from "./types.ts";
import { amountOf } from "./verdict.ts";

interface Scripted {
  tollkeeperAdmit(...args: (string | number)[]): Promise<number[]>;
  tollkeeperRelease(...args: (string | number)[]): Promise<unknown>;
  tollkeeperRenew(...args: (string | number)[]): Promise<unknown>;
  tollkeeperTell(...args: (string | number)[]): Promise<unknown>;
}

/** What is counted in Redis, for all copies together. Nothing here is retried; commands take effect in the order of the calls. */
export interface LimitStore {
  /** False while Redis is gone, or has left too much unanswered. Commands that are not waited for are then dropped. */
  readonly ready: boolean;
  /** Answers as script.ts says. Rejects when Redis fails. */
  admit(ask: Ask): Promise<number[]>;
  /** Ends a permit; `by` corrects its reservations, one number for each. While Redis is gone only the end is kept for later. */
  release(permit: Permit, by: readonly number[]): void;
  renew(permits: Iterable<Permit>): void;
  /** Takes in how rates stand, where they stand higher than Redis knows. */
  tell(windows: readonly NamedWindow[]): void;
  /** Ends the permits whose end Redis has missed. */
  catchUp(): void;
  /** Whether everything sent so far was answered within this time. Never rejects. */
  answers(withinMs: number): Promise<boolean>;
}

/** Ids in one command. */
const MOST_AT_ONCE = 1_000;
/** Commands that nobody waits for. */
const MOST_UNANSWERED = 10_000;
/** Ends kept for a Redis that is gone; beyond these, leases end by themselves. */
const MISSED_KEPT = 50_000;

export function createLimitStore(redis: Redis, leaseMs: number): LimitStore {
  redis.defineCommand("tollkeeperAdmit", { lua: admitScript(leaseMs) });
  redis.defineCommand("tollkeeperRelease", { lua: RELEASE });
  redis.defineCommand("tollkeeperTell", { lua: TELL });
  redis.defineCommand("tollkeeperRenew", { lua: renewScript(leaseMs), numberOfKeys: 1 });
  const scripts = redis as unknown as Scripted;
  let missed: Permit[] = [];
  let unanswered = 0;
  let corked = false;

  /** Commands of one turn of the event loop go out in one write: the system call costs more than the command. */
  function gather(): void {
    const { stream } = redis;
    if (corked || !stream) return;
    corked = true;
    stream.cork();
    setImmediate(() => {
      corked = false;
      stream.uncork();
    });
  }

  const answered = (): void => {
    unanswered -= 1;
  };
  /** A command that nobody waits for. */
  function send(command: Promise<unknown>): void {
    unanswered += 1;
    command.then(answered, answered);
  }

  const isReady = (): boolean => redis.status === "ready" && unanswered < MOST_UNANSWERED;

  return {
    get ready() {
      return isReady();
    },
    admit({ plan: { checks, shape }, callId, tokens }) {
      const args: (string | number)[] = [checks.length];
      for (const { id } of checks) args.push(id);
      args.push(callId, shape);
      for (const check of checks) {
        args.push(check.limit);
        if (check.kind === "tokens") args.push(amountOf(check, tokens));
      }
      gather();
      return scripts.tollkeeperAdmit(...args);
    },
    release(permit, by) {
      const { id, sets, reserved } = permit;
      if (!isReady()) {
        if (sets.length > 0 && missed.length < MISSED_KEPT) missed.push(permit);
        return;
      }
      const corrected = reserved.filter((_, i) => by[i] !== 0);
      if (corrected.length === 0 && sets.length <= 1) {
        const [only] = sets;
        if (only === undefined) return;
        gather();
        send(redis.zrem(only, id));
        return;
      }
      const args: (string | number)[] = [corrected.length + sets.length];
      for (const reservation of corrected) args.push(reservation.id);
      args.push(...sets, id, corrected.length);
      for (const [i, { fromMs }] of reserved.entries()) if (by[i] !== 0) args.push(fromMs, by[i]!);
      gather();
      send(scripts.tollkeeperRelease(...args));
    },
    renew(permits) {
      if (!isReady()) return;
      const bySet = new Map<string, string[]>();
      for (const { id, sets } of permits) {
        for (const set of sets) {
          const ids = bySet.get(set);
          if (ids) ids.push(id);
          else bySet.set(set, [id]);
        }
      }
      gather();
      for (const [set, ids] of bySet) {
        for (let i = 0; i < ids.length; i += MOST_AT_ONCE) send(scripts.tollkeeperRenew(set, ...ids.slice(i, i + MOST_AT_ONCE)));
      }
    },
    tell(windows) {
      if (!isReady()) return;
      gather();
      for (let i = 0; i < windows.length; i += MOST_AT_ONCE) {
        const some = windows.slice(i, i + MOST_AT_ONCE);
        const values = some.flatMap(({ lengthMs, startMs, current, previous }) => [lengthMs, startMs, current, previous]);
        send(scripts.tollkeeperTell(some.length, ...some.map(({ id }) => id), ...values));
      }
    },
    catchUp() {
      const ended = missed;
      missed = [];
      for (const { id, sets } of ended) for (const set of sets) send(redis.zrem(set, id));
    },
    async answers(withinMs) {
      if (!isReady()) return false;
      const pong = redis.ping().then(
        () => true,
        () => false,
      );
      return Promise.race([pong, delay(withinMs, false, { ref: false })]);
    },
  };
}
