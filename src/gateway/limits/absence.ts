import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../../platform/logger.ts";

/** Whether Redis is away, as all copies agree: as long as one of them cannot use it, none counts there. */
export interface Absence {
  readonly away: boolean;
  /** Resolves when it is clear where a call is to be counted: "redis" again, or in the "standby", which then has what all copies know. */
  settled(): Promise<"redis" | "standby">;
  /** This copy cannot use Redis. */
  lost(why: string): void;
  /** A copy has said that Redis is away. */
  heard(): void;
  stop(): void;
}

/** How often a copy says so, and tries again. */
const SAY_MS = 500;
/** What a copy has said holds for this long: all of them return together when the last has fallen silent. */
const BELIEVE_MS = 1_500;
/** Before they return nobody begins anything, so that what is under way in the standby is known in Redis too. */
const HUSH_MS = 100;

/**
 * `say` tells every copy, `enter` puts what this copy knows into the standby and waits for the others, `recover` answers whether Redis can
 * be used again and has been told what it missed.
 */
export function createAbsence(deps: {
  log: Logger;
  now: () => number;
  say: () => Promise<void>;
  enter: () => Promise<void>;
  recover: () => Promise<boolean>;
}): Absence {
  const { log, now } = deps;
  let lostHere = false;
  let believeUntilMs = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  let entered = Promise.resolve();
  let stopped = false;

  const isAway = (): boolean => lostHere || now() < believeUntilMs;

  const isAboutToReturn = (): boolean => !lostHere && isAway() && now() > believeUntilMs - HUSH_MS;

  function believe(): void {
    const before = isAway();
    believeUntilMs = now() + BELIEVE_MS;
    if (before) return;
    entered = deps.enter().catch((error: unknown) => log.warn({ err: error }, "what limits have counted could not be handed over"));
  }

  async function persist(): Promise<void> {
    const back = await deps.recover().catch(() => false);
    if (stopped) return;
    // Said once more when it is back, so that all copies return together. Nobody hears it while Postgres is away too; then no call gets
    // past its hold anyway.
    await deps.say().catch(() => undefined);
    if (back) {
      believe();
      lostHere = false;
      log.info("limits can be counted in redis again");
    } else if (!stopped) timer = setTimeout(() => void persist(), SAY_MS).unref();
  }

  return {
    get away() {
      return isAway();
    },
    async settled() {
      await entered;
      while (isAboutToReturn()) await delay(Math.max(1, believeUntilMs - now()));
      return isAway() ? "standby" : "redis";
    },
    lost(why) {
      if (lostHere || stopped) return;
      log.warn({ why }, "limits cannot be counted in redis for now");
      believe();
      lostHere = true;
      void deps.say().catch(() => undefined);
      timer = setTimeout(() => void persist(), SAY_MS).unref();
    },
    heard: believe,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
