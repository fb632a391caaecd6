import type { Redis } from "../platform/redis.ts";
import { CLOCK, COPIES, copyChannel, FIGURES } from "./keys.ts";
import { BEAT } from "./scripts.ts";
import { away } from "./tickets.ts";

const EVERY_MS = 5_000;
/** A copy that was not heard of for so long is gone, and its places are free. */
const GONE_MS = 20_000;
/** A copy that did not hear itself for so long hears nobody. */
const DEAF_MS = 12_000;

/** What a copy says of itself. */
export interface CopyFigures {
  copy: string;
  connections: number;
  users: number;
}

/** Shows that this copy lives and how it is, moves its sockets on in time, and finds out when it hears nothing. */
export function createFigures(deps: {
  redis: Redis;
  copy: string;
  now(): { connections: number; users: number };
  heardAtMs(): number;
  renew(): void;
}): { beat(): Promise<void>; all(): Promise<CopyFigures[]>; stop(): Promise<void> } {
  const { redis, copy } = deps;

  async function beat(): Promise<void> {
    const figures = JSON.stringify({ copy, ...deps.now() });
    await redis.eval(BEAT, 4, CLOCK, COPIES, FIGURES, copyChannel(copy), copy, GONE_MS, figures);
    if (performance.now() - deps.heardAtMs() > DEAF_MS) deps.renew();
  }

  const timer = setInterval(() => void beat().catch(() => undefined), EVERY_MS);
  timer.unref();
  void beat().catch(() => undefined);

  return {
    beat,
    async all() {
      const [seconds] = await redis.time().catch(away);
      const nowMs = Number(seconds) * 1_000;
      const names = await redis.zrangebyscore(COPIES, nowMs, "+inf").catch(away);
      if (names.length === 0) return [];
      const texts = await redis.hmget(FIGURES, ...names).catch(away);
      return texts.filter((text) => text !== null).map((text) => JSON.parse(text) as CopyFigures);
    },
    async stop() {
      clearInterval(timer);
      await Promise.all([redis.zrem(COPIES, copy), redis.hdel(FIGURES, copy)]).catch(() => undefined);
    },
  };
}
