import { LRUCache } from "lru-cache";
import { appError } from "../platform/errors.ts";
import { networkOf } from "../platform/network.ts";
import type { Principal } from "./principal.ts";

/**
 * How often one may ask this copy's REST routes: `perMinute` times in a burst, then as it refills. Whoever is signed in counts for himself,
 * everybody else by address (IPv6 by /64). Throws `rate_limited`.
 */
export type Throttle = (who: { principal: Principal | undefined; ip: string }) => void;

interface Bucket {
  left: number;
  atMs: number;
}

const MINUTE_MS = 60_000;
/** Whoever asked longest ago is forgotten, as full as he would be by then on any busy copy. */
const MOST_KNOWN = 100_000;

/** Undefined for 0: then nobody is counted. */
export function createThrottle(perMinute: number, now: () => number = Date.now): Throttle | undefined {
  if (perMinute === 0) return undefined;
  const buckets = new LRUCache<string, Bucket>({ max: MOST_KNOWN });
  return ({ principal, ip }) => {
    const key = principal ? principal.userId : networkOf(ip);
    const nowMs = now();
    const bucket = buckets.get(key) ?? { left: perMinute, atMs: nowMs };
    const left = Math.min(perMinute, bucket.left + (Math.max(0, nowMs - bucket.atMs) / MINUTE_MS) * perMinute);
    buckets.set(key, { left: left < 1 ? left : left - 1, atMs: nowMs });
    if (left >= 1) return;
    const waitS = ((1 - left) / perMinute) * 60;
    throw appError("rate_limited", { message: `More than ${perMinute} requests a minute`, retryAfter: Math.ceil(waitS) });
  };
}
