import { setTimeout as delay } from "node:timers/promises";
import { createBatcher } from "../../../platform/batcher.ts";
import { inTransaction, type Pool, type Queryable } from "../../../platform/postgres.ts";
import { announce } from "../../../platform/invalidation.ts";
import { HOLDS_MS, type Word } from "../absence.ts";
import { createCounters } from "../counters.ts";
import type { NamedWindow } from "../local.ts";
import type { Ask, Check, LimitVerdict, Permit } from "../types.ts";
import { merge, MINUTE_MS, newWindow, type Window } from "../window.ts";
import * as repository from "./repository.ts";
import type { PermitRow } from "./repository.ts";

/** A decision, and how the rates it is about stand after it. */
export interface Decision {
  verdict: LimitVerdict;
  windows: NamedWindow[];
}

/**
 * The limits of all copies together, kept in Postgres, which every call needs anyway, while Redis is away. The same rules, decided in
 * batches under one lock. Everything rejects when Postgres fails.
 */
export interface Standby {
  admit(ask: Ask, nowMs: number): Promise<Decision>;
  /** Ends a permit; `by` corrects its reservations, one number for each. */
  release(permit: Permit, by: readonly number[], nowMs: number): Promise<void>;
  /** Puts in what this copy knows, in place of what it put in before. */
  tell(windows: readonly NamedWindow[], permits: Iterable<Permit>, nowMs: number): Promise<void>;
  /** Resolves when every copy has done so, or has had the time to; `sinceMs` ago this one noticed the absence. */
  gathered(sinceMs: number): Promise<void>;
  /** Tells every copy whether this one can use Redis. */
  say(word: Word): Promise<void>;
  /** Whether what some copy has said still holds. */
  anyAway(): Promise<boolean>;
  /** Renews the permits of this copy. */
  renew(nowMs: number): Promise<void>;
  stop(): Promise<void>;
}

type Item = { nowMs: number } & (
  | { kind: "admit"; ask: Ask }
  | { kind: "release"; permit: Permit; by: readonly number[] }
  | { kind: "tell"; windows: readonly NamedWindow[]; permits: PermitRow[]; first: boolean }
  | { kind: "renew" }
);

const MOST_AT_ONCE = 5_000;
/** How often a copy says that it is there. */
const SEEN_MS = 4_000;
/** A copy that does not put in what it knows within this time is gone, or has nothing to do with this Redis. */
const GATHER_MS = 3_000;
const ASK_MS = 10;

const rowsOf = ({ id, sets }: Permit): PermitRow[] => sets.map((counter) => ({ counter, callId: id }));
const piecesOf = <T>(all: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(all.length / MOST_AT_ONCE) }, (_, i) => all.slice(i * MOST_AT_ONCE, (i + 1) * MOST_AT_ONCE));

/** `owner` names this copy. */
export function createStandby(deps: { pool: Pool; owner: string; leaseMs: number; shadowed: (check: Check) => void }): Standby {
  const { pool, owner, leaseMs } = deps;

  /** What a batch is about: the lengths of its windows by name, and its counters of calls at once. */
  function scopeOf(items: readonly Item[]): { lengths: Map<string, number>; sets: Set<string> } {
    const lengths = new Map<string, number>();
    const sets = new Set<string>();
    for (const item of items) {
      if (item.kind === "admit") {
        const { checks, rates } = item.ask.plan;
        for (const { id, lengthMs } of checks.slice(0, rates)) lengths.set(id, lengthMs);
        for (const { id } of checks.slice(rates)) sets.add(id);
      } else if (item.kind === "release") for (const { id } of item.permit.reserved) lengths.set(id, MINUTE_MS);
      else if (item.kind === "tell") for (const { id, lengthMs } of item.windows) lengths.set(id, lengthMs);
    }
    return { lengths, sets };
  }

  /** What changes who runs, before anything is decided. */
  async function applyChanges(tx: Queryable, items: readonly Item[], nowMs: number): Promise<void> {
    for (const item of items) {
      if (item.kind === "renew") await repository.renewPermits(tx, owner, nowMs + leaseMs);
      else if (item.kind === "tell") {
        if (item.first) await repository.clear(tx, owner, { nowMs, windowsBeforeMs: nowMs - 2 * MINUTE_MS });
        if (item.permits.length > 0) await repository.addPermits(tx, item.permits, owner, nowMs + leaseMs);
      }
    }
    const ended = items.flatMap((item) => (item.kind === "release" ? rowsOf(item.permit) : []));
    if (ended.length > 0) await repository.removePermits(tx, ended);
  }

  async function run(items: Item[]): Promise<(Decision | undefined)[]> {
    const nowMs = Math.max(...items.map((item) => item.nowMs));
    const { lengths, sets } = scopeOf(items);
    return inTransaction(pool, async (tx) => {
      await repository.lockCounters(tx);
      await applyChanges(tx, items, nowMs);
      const counters = createCounters(deps.shadowed);
      const windowOf = (id: string): Window => {
        const window = counters.windows.get(id) ?? newWindow(lengths.get(id)!);
        counters.windows.set(id, window);
        return window;
      };
      if (lengths.size > 0)
        for (const { id, ...row } of await repository.readWindows(tx, [...lengths.keys()])) Object.assign(windowOf(id), row);
      if (sets.size > 0) for (const [id, running] of await repository.countPermits(tx, [...sets], nowMs)) counters.running.set(id, running);

      const decisions = items.map((item): Decision | undefined => {
        if (item.kind === "tell") for (const { id, ...window } of item.windows) merge(windowOf(id), window, nowMs);
        if (item.kind === "release") item.permit.reserved.forEach((reserved, i) => counters.correct(reserved, item.by[i]!, nowMs));
        if (item.kind !== "admit") return undefined;
        const verdict = counters.admit(item.ask, nowMs);
        const rates = item.ask.plan.checks.slice(0, item.ask.plan.rates);
        return { verdict, windows: rates.map(({ id }) => ({ id, ...windowOf(id) })) };
      });

      const windows = [...counters.windows].map(([id, window]) => ({ id, ...window }));
      if (windows.length > 0) await repository.writeWindows(tx, windows);
      const begun = decisions.flatMap((decision) =>
        decision?.verdict.allowed && decision.verdict.permit ? rowsOf(decision.verdict.permit) : [],
      );
      if (begun.length > 0) await repository.addPermits(tx, begun, owner, nowMs + leaseMs);
      return decisions;
    });
  }

  const seen = (): void => void repository.noteCopy(pool, owner, false).catch(() => undefined);
  const timer = setInterval(seen, SEEN_MS).unref();
  seen();

  const batcher = createBatcher<Item, Decision | undefined>({ run });

  return {
    admit: async (ask, nowMs) => (await batcher.add({ kind: "admit", ask, nowMs }))!,
    async release(permit, by, nowMs) {
      await batcher.add({ kind: "release", permit, by, nowMs });
    },
    async tell(windows, permits, nowMs) {
      const rows = piecesOf([...permits].flatMap(rowsOf));
      const told = piecesOf(windows);
      for (let i = 0; i < Math.max(1, rows.length, told.length); i++) {
        await batcher.add({ kind: "tell", windows: told[i] ?? [], permits: rows[i] ?? [], first: i === 0, nowMs });
      }
      await repository.noteCopy(pool, owner, true);
    },
    async gathered(sinceMs) {
      const beganMs = performance.now();
      for (let waitedMs = 0; waitedMs < GATHER_MS; waitedMs = performance.now() - beganMs) {
        if (await repository.allTold(pool, sinceMs + waitedMs)) return;
        await delay(ASK_MS);
      }
    },
    say: (word) =>
      inTransaction(pool, async (tx) => {
        await repository.noteAway(tx, owner, HOLDS_MS[word]);
        await announce(tx, "limits", word);
      }),
    anyAway: () => repository.anyAway(pool),
    async renew(nowMs) {
      await batcher.add({ kind: "renew", nowMs });
    },
    async stop() {
      clearInterval(timer);
      await batcher.idle();
      await repository.forgetCopy(pool, owner).catch(() => undefined);
    },
  };
}
