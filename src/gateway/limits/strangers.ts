import { LRUCache } from "lru-cache";
import { networkOf } from "../../platform/network.ts";
import { MINUTE_MS, newWindow, roll, usedOf, waitMsOf, type Window } from "./window.ts";

/** Who calls without a good key, counted by address in this process: before a caller is known, nothing else can be held against a limit. */
export interface Strangers {
  /** Milliseconds until keys that are not known may be tried from there again; 0 for now. */
  waitMs(ip: string): number;
  /** One was refused. */
  refused(ip: string): void;
}

const ADDRESSES_KEPT = 20_000;

/** `perMinute`: refusals a minute after which only known keys pass; 0 for no limit. */
export function createStrangers(perMinute: number, now: () => number = () => performance.now()): Strangers {
  const windows = new LRUCache<string, Window>({ max: ADDRESSES_KEPT });

  return {
    waitMs(ip) {
      // Nearly always nobody was refused, and then this costs nothing.
      if (windows.size === 0) return 0;
      const window = windows.get(networkOf(ip));
      if (!window) return 0;
      const nowMs = now();
      roll(window, nowMs);
      return usedOf(window, nowMs) < perMinute ? 0 : waitMsOf(window, perMinute, 1, nowMs);
    },
    refused(ip) {
      if (perMinute === 0) return;
      const network = networkOf(ip);
      const nowMs = now();
      let window = windows.get(network);
      if (!window) windows.set(network, (window = newWindow(MINUTE_MS)));
      roll(window, nowMs);
      window.current += 1;
    },
  };
}
