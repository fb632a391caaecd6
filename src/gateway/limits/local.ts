import type { Ask, Check, LimitVerdict, Permit, Refusal, Reservation } from "./types.ts";
import { amountOf, fullOf, later, permitOf, refusalOf, verdictOf } from "./verdict.ts";
import { correct, roll, type Window } from "./window.ts";

/** The same rules as the Redis script, for this process alone. It follows every call, so that it can take over at any moment. */
export interface LocalLimiter {
  /** Decides and counts. */
  admit(ask: Ask, nowMs: number): LimitVerdict;
  /** Takes over what Redis has decided: `reply` as the script gives it, see script.ts. */
  follow(ask: Ask, reply: readonly number[]): LimitVerdict;
  /** Ends a permit and counts `tokens`, not weighted, in place of what was reserved. Answers by how much each reservation was corrected. */
  release(permit: Permit, tokens: number, nowMs: number): number[];
  /** Permits of calls that run. */
  readonly permits: ReadonlySet<Permit>;
  /** Forgets callers who were silent for two windows. */
  sweep(nowMs: number): void;
}

/** Creates the limiter of one process. `shadowed` is told of each call that a limit which is only looked at would have refused. */
export function createLocalLimiter(shadowed: (check: Check) => void = () => undefined): LocalLimiter {
  const windows = new Map<string, Window>();
  const running = new Map<string, number>();
  const permits = new Set<Permit>();

  function windowOf(id: string): Window {
    let window = windows.get(id);
    if (!window) windows.set(id, (window = { startMs: 0, current: 0, previous: 0 }));
    return window;
  }

  function change(id: string, by: number): void {
    const next = (running.get(id) ?? 0) + by;
    if (next > 0) running.set(id, next);
    else running.delete(id);
  }

  /** Counts an allowed call in every counter that has room for it; one that is only looked at may have none. */
  function count(ask: Ask, nowMs: number, runningOf: (check: Check, index: number) => number): Permit | undefined {
    const { checks, rates, countsTokens } = ask.plan;
    const reserved: Reservation[] | undefined = countsTokens ? [] : undefined;
    for (let i = 0; i < rates; i++) {
      const check = checks[i]!;
      const window = windowOf(check.id);
      if (check.shadow && refusalOf(check, ask.tokens, window, nowMs)) {
        shadowed(check);
        continue;
      }
      const amount = amountOf(check, ask.tokens);
      window.current += amount;
      if (check.kind === "tokens") reserved!.push({ id: check.id, lengthMs: check.lengthMs, fromMs: window.startMs, counted: amount });
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
    const permit = permitOf(ask, sets, reserved);
    if (permit) permits.add(permit);
    return permit;
  }

  /** The refusal of the rates that lasts longest. */
  function rateRefusal({ plan, tokens }: Ask, nowMs: number): Refusal | undefined {
    let refusal: Refusal | undefined;
    for (let i = 0; i < plan.rates; i++) {
      const check = plan.checks[i]!;
      if (!check.shadow) refusal = later(refusal, refusalOf(check, tokens, windowOf(check.id), nowMs));
    }
    return refusal;
  }

  return {
    permits,
    admit(ask, nowMs) {
      const { checks, rates } = ask.plan;
      for (let i = 0; i < rates; i++) roll(windowOf(checks[i]!.id), checks[i]!.lengthMs, nowMs);
      const runningOf = ({ id }: Check): number => running.get(id) ?? 0;
      let refusal = rateRefusal(ask, nowMs);
      for (let i = rates; i < checks.length && !refusal; i++) {
        const check = checks[i]!;
        if (!check.shadow && runningOf(check) >= check.limit) refusal = fullOf(check);
      }
      return verdictOf(ask, refusal ?? { permit: count(ask, nowMs, runningOf) }, windowOf, nowMs);
    },
    follow(ask, reply) {
      const { checks, rates } = ask.plan;
      const nowMs = reply[1]!;
      for (let i = 0; i < rates; i++) {
        const window = windowOf(checks[i]!.id);
        window.startMs = reply[2 + 3 * i]!;
        window.current = reply[3 + 3 * i]!;
        window.previous = reply[4 + 3 * i]!;
      }
      const runningOf = (_: Check, index: number): number => reply[2 + 2 * rates + index]!;
      if (reply[0] === 0) return verdictOf(ask, { permit: count(ask, nowMs, runningOf) }, windowOf, nowMs);
      // The last counter that was looked at is the full one, unless a rate refused before.
      const refusal = rateRefusal(ask, nowMs) ?? fullOf(checks[reply.length - 3 - 2 * rates]!);
      return verdictOf(ask, refusal, windowOf, nowMs);
    },
    release(permit, tokens, nowMs) {
      if (permits.delete(permit)) for (const id of permit.sets) change(id, -1);
      return permit.reserved.map((reservation) => {
        const used = Math.ceil((tokens * permit.weightPercent) / 100);
        const by = used - reservation.counted;
        reservation.counted = used;
        const window = windows.get(reservation.id);
        if (window && by !== 0) {
          roll(window, reservation.lengthMs, nowMs);
          correct(window, reservation.lengthMs, reservation.fromMs, by);
        }
        return by;
      });
    },
    sweep(nowMs) {
      for (const [id, window] of windows) if (nowMs - window.startMs >= 120_000) windows.delete(id);
    },
  };
}
