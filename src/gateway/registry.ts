import type { Call } from "./pipeline/call.ts";
import type { RelayDeps } from "./pipeline/deps.ts";
import { failure } from "./pipeline/failure.ts";
import { finish } from "./pipeline/finish.ts";
import { checkPresence, type Waiting } from "./pipeline/presence.ts";
import { thrown } from "./pipeline/thrown.ts";
import { watch } from "./pipeline/watch.ts";

/** One tick looks at every live call; while there is none nothing ticks. */
const TICK_MS = 100;
/** When a tick comes this late the process was busy, and what providers sent meanwhile has not been read yet. */
const LATE_MS = 500;
/** After the grace of a shutdown, how long the ended calls have to be recorded or released and their last bytes to be taken. */
const LAST_PATIENCE_MS = 5_000;

export interface Registry {
  add(call: Call): void;
  /** Adds work at a provider that is no call, with a way to stop it; answers how to say that it has ended. */
  besides(of: Pick<Call, "req" | "res">, stop: () => void): () => void;
  /** Forgets a call that has ended, once its client's and its provider's connections are done with it too. */
  retire(call: Call): void;
  readonly size: number;
  /** How many of them only watch what another call of this account pays for. */
  watching(userId: string): number;
  /** How many there are of each kind of answer. */
  live(): { labels: { answer: string }; value: number }[];
  /** True once the process has begun to stop. */
  readonly draining: boolean;
  /** Waits for running calls; after `graceMs` ends the rest with an error. Resolves when every hold is recorded or released, or cannot be. */
  drain(graceMs: number): Promise<void>;
}

/** Every live call of this process: its time-outs and heartbeats, the renewal of holds and permits, and the end of them all. */
export function createRegistry(deps: RelayDeps): Registry {
  const calls = new Set<Call>();
  const others = new Set<Waiting & { stop: () => void }>();
  let timer: NodeJS.Timeout | undefined;
  let tickedMs = 0;
  let holdsMs = 0;
  let renewing = false;
  let draining = false;
  let empty: (() => void) | undefined;

  function retire(call: Call): void {
    if (call.phase !== "ended" || !call.res.closed || (call.exchange && !call.exchange.ended)) return;
    calls.delete(call);
    if (idle()) empty?.();
  }

  const idle = (): boolean => calls.size + others.size === 0;

  function startTicking(): void {
    if (timer) return;
    tickedMs = performance.now();
    holdsMs = Math.max(holdsMs, tickedMs - deps.config.holdTtlMs / 6);
    timer = setInterval(tick, TICK_MS);
    timer.unref();
  }

  function tick(): void {
    const nowMs = performance.now();
    const late = nowMs - tickedMs > TICK_MS + LATE_MS;
    tickedMs = nowMs;
    deps.limiter.tick(nowMs);
    if (idle()) {
      clearInterval(timer);
      timer = undefined;
      return;
    }
    if (!late) look(nowMs);
    if (nowMs - holdsMs > deps.config.holdTtlMs / 3) {
      holdsMs = nowMs;
      void renewHolds();
    }
  }

  function look(nowMs: number): void {
    for (const other of others) checkPresence(other, nowMs);
    for (const call of calls) {
      try {
        watch(deps, call, nowMs);
      } catch (error) {
        // The others must not pay for what one call meets.
        thrown(deps, call, error);
      }
      if (call.phase === "ended") retire(call);
    }
  }

  async function renewHolds(): Promise<void> {
    const ids = [...calls].filter((call) => call.holdOpen).map((call) => call.id);
    if (ids.length === 0 || renewing) return;
    renewing = true;
    try {
      const kept = new Set(await deps.ledger.extend(ids, deps.config.holdTtlMs));
      const lost = [...calls].filter((call) => call.holdOpen && !kept.has(call.id) && ids.includes(call.id));
      if (lost.length > 0) deps.log.warn({ holds: lost.map((call) => call.id) }, "holds of running calls are gone");
    } catch (error) {
      // Tried again soon: a hold outlives several missed renewals.
      holdsMs = performance.now() - deps.config.holdTtlMs / 3 + 1_000;
      deps.log.warn({ err: error, holds: ids.length }, "holds could not be renewed");
    } finally {
      renewing = false;
    }
  }

  return {
    add(call) {
      calls.add(call);
      startTicking();
    },
    besides({ req, res }, stop) {
      const other = { req, res, stop, looks: 0, lookedMs: 0, stalledMs: undefined, request: undefined };
      others.add(other);
      startTicking();
      return () => {
        others.delete(other);
        if (idle()) empty?.();
      };
    },
    retire,
    get size() {
      return calls.size;
    },
    watching(userId) {
      let watching = 0;
      for (const { request, caller } of calls) if (request?.listens && caller?.principal.userId === userId) watching += 1;
      return watching;
    },
    live() {
      const counts = new Map<string, number>([["stream", 0]]);
      for (const { request } of calls) counts.set(request?.answer ?? "none", (counts.get(request?.answer ?? "none") ?? 0) + 1);
      return [...counts].map(([answer, value]) => ({ labels: { answer }, value }));
    },
    get draining() {
      return draining;
    },
    async drain(graceMs) {
      draining = true;
      if (idle()) return;
      const gone = new Promise<void>((resolve) => (empty = resolve));
      const grace = setTimeout(() => {
        for (const { stop } of others) stop();
        deps.log.warn({ calls: calls.size }, "calls are ended for the shutdown");
        for (const call of calls) {
          finish(deps, call, {
            kind: "failed",
            failure: failure("unavailable", {
              message: "The server is restarting; send the request again",
              retryAfter: 1,
              class: "shutdown",
              record: "shutdown",
            }),
          });
        }
      }, graceMs);
      let patience: NodeJS.Timeout | undefined;
      // A client that takes nothing, or a Postgres that is away, must not keep the process from stopping.
      const enough = new Promise<void>((resolve) => (patience = setTimeout(resolve, graceMs + LAST_PATIENCE_MS)));
      await Promise.race([gone, enough]);
      clearTimeout(grace);
      clearTimeout(patience);
    },
  };
}
