import type { Ask, Check, LimitVerdict, Permit, Refusal, Reservation } from "./types.ts";
import { amountOf, fullOf, later, permitOf, refusalOf, verdictOf } from "./verdict.ts";
import { correct, newWindow, roll, type Window } from "./window.ts";

/** Rates and calls at once, and the rules by which they are counted: those of the Redis script. */
export interface Counters {
  readonly windows: Map<string, Window>;
  /** How many calls run, by counter. */
  readonly running: Map<string, number>;
  /** Decides and counts. */
  admit(ask: Ask, nowMs: number): LimitVerdict;
  /** Takes over what Redis has decided: `reply` as the script gives it, see script.ts. */
  follow(ask: Ask, reply: readonly number[]): LimitVerdict;
  /** Changes how many calls run. */
  change(id: string, by: number): void;
  /** Corrects a reservation. */
  correct(reservation: Reservation, by: number, nowMs: number): void;
}

/** Creates empty counters. `shadowed` is told of each call that a limit which is only looked at would have refused. */
export function createCounters(shadowed: (check: Check) => void): Counters {
  const windows = new Map<string, Window>();
  const running = new Map<string, number>();

  function windowOf({ id, lengthMs }: Check): Window {
    let window = windows.get(id);
    if (!window) windows.set(id, (window = newWindow(lengthMs)));
    return window;
  }

  const runningHere = ({ id }: Check): number => running.get(id) ?? 0;

  function change(id: string, by: number): void {
    const next = (running.get(id) ?? 0) + by;
    if (next > 0) running.set(id, next);
    else running.delete(id);
  }

  /** The refusal of the rates that lasts longest. */
  function rateRefusal({ plan, tokens }: Ask, nowMs: number): Refusal | undefined {
    let refusal: Refusal | undefined;
    for (let i = 0; i < plan.rates; i++) {
      const check = plan.checks[i]!;
      if (!check.shadow) refusal = later(refusal, refusalOf(check, tokens, windowOf(check), nowMs));
    }
    return refusal;
  }

  /** Counts an allowed call in every counter that has room for it; one that is only looked at may have none. */
  function count(ask: Ask, nowMs: number, runningOf: (check: Check, index: number) => number): Permit | undefined {
    const { checks, rates, countsTokens } = ask.plan;
    const reserved: Reservation[] | undefined = countsTokens ? [] : undefined;
    for (let i = 0; i < rates; i++) {
      const check = checks[i]!;
      const window = windowOf(check);
      if (check.shadow && refusalOf(check, ask.tokens, window, nowMs)) {
        shadowed(check);
        continue;
      }
      const amount = amountOf(check, ask.tokens);
      window.current += amount;
      if (check.kind === "tokens") reserved!.push({ id: check.id, fromMs: window.startMs, counted: amount });
    }
    const sets: string[] = [];
    for (let i = rates; i < checks.length; i++) {
      const check = checks[i]!;
      if (check.shadow && runningOf(check, i) >= check.limit) shadowed(check);
      else {
        sets.push(check.id);
        change(check.id, 1);
      }
    }
    return permitOf(ask, sets, reserved);
  }

  return {
    windows,
    running,
    change,
    admit(ask, nowMs) {
      const { checks, rates } = ask.plan;
      for (let i = 0; i < rates; i++) roll(windowOf(checks[i]!), nowMs);
      let refusal = rateRefusal(ask, nowMs);
      for (let i = rates; i < checks.length && !refusal; i++) {
        const check = checks[i]!;
        if (!check.shadow && runningHere(check) >= check.limit) refusal = fullOf(check);
      }
      return verdictOf(ask, refusal ?? { permit: count(ask, nowMs, runningHere) }, windowOf, nowMs);
    },
    follow(ask, reply) {
      const { checks, rates } = ask.plan;
      const nowMs = reply[1]!;
      for (let i = 0; i < rates; i++) {
        const window = windowOf(checks[i]!);
        window.startMs = reply[2 + 3 * i]!;
        window.current = reply[3 + 3 * i]!;
        window.previous = reply[4 + 3 * i]!;
      }
      const runningThere = (_: Check, index: number): number => reply[2 + 2 * rates + index]!;
      if (reply[0] === 0) return verdictOf(ask, { permit: count(ask, nowMs, runningThere) }, windowOf, nowMs);
      // The last counter that was looked at is the full one, unless a rate refused before.
      const refusal = rateRefusal(ask, nowMs) ?? fullOf(checks[reply.length - 3 - 2 * rates]!);
      return verdictOf(ask, refusal, windowOf, nowMs);
    },
    correct({ id, fromMs }, by, nowMs) {
      const window = windows.get(id);
      if (!window || by === 0) return;
      roll(window, nowMs);
      correct(window, fromMs, by);
    },
  };
}
