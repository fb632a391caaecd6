import { LRUCache } from "lru-cache";
import { networkOf } from "../../platform/network.ts";
import type { Redis } from "../../platform/redis.ts";
import { createSharedClock } from "./clock.ts";
import { COUNT } from "./script.ts";
import { MINUTE_MS, newWindow, roll, usedOf, waitMsOf, type Window } from "./window.ts";

/** Who calls without a good key, counted by address: before a caller is known, nothing else can be held against a limit. */
export interface Strangers {
  /** Milliseconds until keys that are not known may be tried from there again; 0 for now. */
  waitMs(ip: string): number;
  /** One was refused. */
  refused(ip: string): void;
  stop(): void;
}

/** How an address stands, as far as this copy knows. */
interface Known {
  window: Window;
  /** Refusals here that Redis has not been told of; they are in the window. */
  untold: number;
}

const ADDRESSES_KEPT = 20_000;
/** Refusals of this long go out as one command: they are many or they do not matter. */
const GATHER_MS = 20;
const MOST_AT_ONCE = 500;
/** How soon it is tried again after Redis has failed. */
const AGAIN_MS = 1_000;

/** One hash tag: all of them live on one node of a cluster. */
const counterOf = (network: string): string => `tk:{x}:${network}`;

/**
 * `perMinute`: refusals a minute after which only known keys pass; 0 for no limit. Copies tell each other through Redis, in batches that
 * nobody waits for; while it is away each goes by what it knows.
 */
export function createStrangers(perMinute: number, redis: Redis): Strangers {
  redis.defineCommand("tollkeeperCount", { lua: COUNT });
  const scripts = redis as unknown as { tollkeeperCount(...args: (string | number)[]): Promise<number[]> };
  const known = new LRUCache<string, Known>({ max: ADDRESSES_KEPT });
  const clock = createSharedClock(performance.now());
  const now = (): number => clock.at(performance.now());
  const untold = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let telling = false;
  let stopped = false;

  function tellIn(ms: number): void {
    if (telling || stopped || untold.size === 0) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      void tell();
    }, ms).unref();
  }

  async function tell(): Promise<void> {
    telling = true;
    let nextMs = GATHER_MS;
    const told = take();
    const sentMs = performance.now();
    try {
      const reply = await scripts.tollkeeperCount(told.length, ...told.map(([network]) => counterOf(network)), ...told.map(([, by]) => by));
      clock.heard(reply[0]!, sentMs, performance.now());
      told.forEach(([network], i) => adopt(network, reply.slice(1 + 3 * i, 4 + 3 * i) as [number, number, number]));
    } catch {
      // Whether it was counted is not known; what is counted here holds in any case.
      nextMs = AGAIN_MS;
      told.forEach(([network, by]) => putBack(network, by));
    }
    telling = false;
    tellIn(nextMs);
  }

  /** What is to be told next. What is over by now is not worth telling. */
  function take(): [network: string, by: number][] {
    const nowMs = now();
    const told: [string, number][] = [];
    for (const network of untold) {
      if (told.length === MOST_AT_ONCE) break;
      untold.delete(network);
      const at = known.peek(network);
      if (!at) continue;
      roll(at.window, nowMs);
      const by = Math.min(at.untold, usedOf(at.window, nowMs));
      at.untold = 0;
      if (by > 0) told.push([network, by]);
    }
    return told;
  }

  function putBack(network: string, by: number): void {
    const at = known.peek(network);
    if (!at) return;
    at.untold += by;
    untold.add(network);
  }

  /** Takes over how an address stands in Redis, unless that has forgotten what is known here. */
  function adopt(network: string, [startMs, current, previous]: [number, number, number]): void {
    const at = known.peek(network);
    if (!at) return;
    const nowMs = now();
    const there = { lengthMs: MINUTE_MS, startMs, current: current + at.untold, previous };
    roll(there, nowMs);
    roll(at.window, nowMs);
    if (usedOf(there, nowMs) >= usedOf(at.window, nowMs)) at.window = there;
  }

  return {
    waitMs(ip) {
      // Nearly always nobody was refused, and then this costs nothing.
      if (known.size === 0) return 0;
      const at = known.get(networkOf(ip));
      if (!at) return 0;
      const nowMs = now();
      roll(at.window, nowMs);
      return usedOf(at.window, nowMs) < perMinute ? 0 : waitMsOf(at.window, perMinute, 1, nowMs);
    },
    refused(ip) {
      if (perMinute === 0) return;
      const network = networkOf(ip);
      let at = known.get(network);
      if (!at) known.set(network, (at = { window: newWindow(MINUTE_MS), untold: 0 }));
      roll(at.window, now());
      at.window.current += 1;
      at.untold += 1;
      untold.add(network);
      tellIn(GATHER_MS);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
