import type { RunState } from "./repository.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** A run that has just paused: a person takes longer. */
export const FIRST_LOOK_MS = MINUTE_MS;
/** While a call reads a run, it is only seen whether the call lives. */
export const FOLLOWED_MS = MINUTE_MS;
/** A form is known here for as long; after that nobody can answer it any more. */
export const PAUSED_MS = 31 * 24 * HOUR_MS;
/** The credit of a call that has left a run is held for as long; what the run turns out to have used after that is owed. */
export const HELD_MS = HOUR_MS;
/** A run that nobody reads and that still goes on is stopped then. */
export const RUNNING_MS = 6 * HOUR_MS;
/** While a message that has ended may still be reported by the webhook. */
export const REPORTED_MS = 30 * SECOND_MS;
/** The webhook, which has a message's exact counts, has as long to report it once it has ended. */
export const WEBHOOK_MS = 5 * MINUTE_MS;
/** After so many looks in vain, about a day and a half, an operator is told. */
export const MOST_TRIES = 40;

const FIRST_TRY_MS = 15 * SECOND_MS;
const LEAST_MS = 10 * SECOND_MS;

const between = (least: number, ms: number, most: number): number => Math.min(most, Math.max(least, ms));

/** When a run is looked at again, in milliseconds: the longer it takes, the more seldom. */
export function nextLook(state: RunState, ageMs: number, tries: number): number {
  if (tries > 0) return Math.min(HOUR_MS, FIRST_TRY_MS * 2 ** (tries - 1));
  return state === "paused" ? between(FIRST_LOOK_MS, ageMs / 4, HOUR_MS) : between(LEAST_MS, ageMs / 4, 10 * MINUTE_MS);
}
