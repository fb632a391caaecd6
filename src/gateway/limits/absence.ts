import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../../platform/logger.ts";

/** What copies say to each other. */
export type Word = "standby" | "back";

/** Whether Redis is away, as all copies agree: as long as one of them cannot use it, none counts there. */
export interface Absence {
  readonly away: boolean;
  /** Resolves when it is clear where a call is to be counted: in "redis" again, or in the "standby", which then has what all copies know. */
  settled(): Promise<"redis" | "standby">;
  /** This copy cannot use Redis. */
  lost(why: string): void;
  /** A copy, or this one, has said something; undefined when something may have been missed. */
  heard(word: Word | undefined): void;
  stop(): void;
}

/** How often a copy that cannot use Redis says so, and tries again. */
const SAY_MS = 500;
/** What it has said holds for this long, so that one that died keeps nobody from Redis. */
export const HOLDS_MS: Record<Word, number> = { standby: 3_000, back: 600 };
/** Before the copies return nobody begins anything, so that what is under way in the standby is known in Redis too. */
const HUSH_MS = 200;
const ASK_MS = 20;

export interface AbsenceDeps {
  log: Logger;
  now: () => number;
  /** Tells every copy, and keeps it for those who may not hear. */
  say: (word: Word) => Promise<void>;
  /** Whether what some copy has said still holds. */
  anyAway: () => Promise<boolean>;
  /** Puts what this copy knows into the standby and waits for the others. */
  enter: () => Promise<void>;
  /** Whether Redis can be used again, and has been told what it missed. */
  recover: () => Promise<boolean>;
}

export function createAbsence(deps: AbsenceDeps): Absence {
  const { log, now } = deps;
  let away = false;
  let lostHere = false;
  let untilMs = 0;
  let saidMs = 0;
  let entered = Promise.resolve();
  let persisting: NodeJS.Timeout | undefined;
  let returning: NodeJS.Timeout | undefined;
  let stopped = false;

  function begin(): void {
    away = true;
    entered = deps.enter().catch((error: unknown) => log.warn({ err: error }, "what limits have counted could not be handed over"));
  }

  function believe(forMs: number): void {
    if (stopped) return;
    if (!away) begin();
    untilMs = now() + forMs;
    clearTimeout(returning);
    returning = setTimeout(() => void tryReturn(), forMs).unref();
  }

  async function tryReturn(): Promise<void> {
    // Not known while Postgres is away too; then no call gets past its hold anyway.
    const others = await deps.anyAway().catch(() => true);
    if (lostHere || stopped || now() < untilMs) return;
    if (others) believe(HUSH_MS);
    else away = false;
  }

  async function say(word: Word): Promise<void> {
    await deps.say(word).then(
      () => void (saidMs = now()),
      () => undefined,
    );
  }

  async function persist(): Promise<void> {
    const back = await deps.recover().catch(() => false);
    if (stopped) return;
    await say(back ? "back" : "standby");
    if (back) {
      lostHere = false;
      believe(HOLDS_MS.back);
      log.info("limits can be counted in redis again");
    } else if (!stopped) persisting = setTimeout(() => void persist(), SAY_MS).unref();
  }

  /** A copy that stood still may not have been believed any more: the others have gone back meanwhile, and come again. */
  async function isBelieved(): Promise<void> {
    if (!lostHere || now() - saidMs < HOLDS_MS.standby) return;
    await say("standby");
    begin();
    await entered;
  }

  return {
    get away() {
      return away;
    },
    async settled() {
      await entered;
      await isBelieved();
      const isAboutToReturn = (): boolean => away && !lostHere && now() > untilMs - HUSH_MS;
      while (isAboutToReturn()) await delay(ASK_MS);
      return away ? "standby" : "redis";
    },
    lost(why) {
      if (lostHere || stopped) return;
      log.warn({ why }, "limits cannot be counted in redis for now");
      lostHere = true;
      saidMs = now();
      if (!away) begin();
      void say("standby");
      persisting = setTimeout(() => void persist(), SAY_MS).unref();
    },
    heard(word) {
      if (word) return believe(HOLDS_MS[word]);
      deps.anyAway().then(
        (others) => others && believe(HOLDS_MS.standby),
        () => undefined,
      );
    },
    stop() {
      stopped = true;
      clearTimeout(persisting);
      clearTimeout(returning);
    },
  };
}
