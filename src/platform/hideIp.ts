import { createHmac } from "node:crypto";
import { LRUCache } from "lru-cache";

/** What is kept of addresses: as they are, hashed, or nothing. */
export const IP_MODES = ["plain", "hashed", "none"] as const;

/** What is to be kept of an address. */
export type HideIp = (ip: string) => string | null;

const HASH_LENGTH = 16;
const KNOWN = 10_000;

/** The same address has the same hash wherever it is kept, so that a caller can still be followed; without the secret nobody finds it by trying. */
export function createHideIp(mode: (typeof IP_MODES)[number], secret: string | Buffer): HideIp {
  if (mode === "plain") return (ip) => ip;
  if (mode === "none") return () => null;
  const known = new LRUCache<string, string>({ max: KNOWN });
  return (ip) => {
    let hash = known.get(ip);
    if (hash === undefined) {
      hash = createHmac("sha256", secret).update(`ip ${ip}`).digest("hex").slice(0, HASH_LENGTH);
      known.set(ip, hash);
    }
    return hash;
  };
}
