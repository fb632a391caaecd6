import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";

/** A key's last use is written at most this often. */
const EVERY_MS = 60_000;
/** What has gathered is written this long after the first of it. */
const GATHER_MS = 2_000;
/** More keys than this in one go are written the next time they are used. */
const MOST = 50_000;

export interface LastUsed {
  /** Notes that a key was used from an address. A map lookup; nobody waits for the write. */
  note(keyId: string, ip: string): void;
  /** Writes what has gathered. Never rejects. */
  flush(): Promise<void>;
}

/** When and from where keys were last used, gathered in memory and written in batches: exact to the minute. */
export function createLastUsed(deps: { pool: Pool; log: Logger; now?: () => number }): LastUsed {
  const { pool, log, now = Date.now } = deps;
  /** When each key may be written again. */
  const resting = new Map<string, number>();
  let gathered = new Map<string, { at: number; ip: string }>();
  let timer: NodeJS.Timeout | undefined;
  let sweptMs = now();

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const uses = [...gathered];
    gathered = new Map();
    if (uses.length === 0) return;
    try {
      // Another copy may have written it a moment ago, or a later use.
      await pool.query(
        `UPDATE api_keys k SET last_used_at = u.at, last_used_ip = u.ip
         FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS u (id, at, ip)
         WHERE k.id = u.id AND (k.last_used_at IS NULL OR k.last_used_at <= u.at - make_interval(secs => $4))`,
        [uses.map(([id]) => id), uses.map(([, use]) => new Date(use.at)), uses.map(([, use]) => use.ip), EVERY_MS / 1_000],
      );
    } catch (error) {
      log.debug({ err: error, keys: uses.length }, "the last use of keys could not be written");
    }
  }

  function sweep(nowMs: number): void {
    if (nowMs - sweptMs < EVERY_MS) return;
    sweptMs = nowMs;
    for (const [id, until] of resting) if (until <= nowMs) resting.delete(id);
  }

  return {
    note(keyId, ip) {
      const nowMs = now();
      if ((resting.get(keyId) ?? 0) > nowMs || resting.size >= MOST) return sweep(nowMs);
      resting.set(keyId, nowMs + EVERY_MS);
      gathered.set(keyId, { at: nowMs, ip });
      if (timer) return;
      timer = setTimeout(() => void flush(), GATHER_MS);
      timer.unref();
    },
    flush,
  };
}
