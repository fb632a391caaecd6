import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "../platform/redis.ts";

/** Channels subscribed to with one command when the connection is back. */
const AT_ONCE = 1_000;
const PAUSE_MS = 250;

export interface Subscriber {
  /** Resolves once Redis tells this channel to us; while nothing can be heard, when Redis is back. */
  add(channel: string): Promise<void>;
  remove(channel: string): void;
  /** Gives the connection up and makes a new one: nothing is heard from this one. */
  renew(): void;
  stop(): void;
}

/**
 * The one connection on which a copy hears what is told on its channels. After a break it subscribes to all of them again and then calls
 * `onBack`: whatever was told meanwhile was not heard.
 */
export function createSubscriber(
  redis: Redis,
  handle: { onMessage(channel: string, text: string): void; onBack(): void; onLost(): void },
): Subscriber {
  const channels = new Set<string>();
  const own = redis.duplicate({ autoResubscribe: false, enableOfflineQueue: false, commandTimeout: undefined, enableReadyCheck: false });
  let stopped = false;
  const waiting: (() => void)[] = [];
  let connected = false;

  async function subscribeAll(): Promise<void> {
    const all = [...channels];
    for (let i = 0; i < all.length; i += AT_ONCE) await own.subscribe(...all.slice(i, i + AT_ONCE));
    connected = true;
    for (const resolve of waiting.splice(0)) resolve();
    handle.onBack();
  }

  own.on("error", () => undefined);
  own.on("message", handle.onMessage);
  own.on("ready", () => {
    subscribeAll().catch(async () => {
      await delay(PAUSE_MS);
      if (!stopped) own.disconnect(true);
    });
  });
  own.on("close", () => {
    if (!connected) return;
    connected = false;
    handle.onLost();
  });
  own.connect().catch(() => undefined);

  return {
    async add(channel) {
      channels.add(channel);
      if (own.status === "ready") {
        const heard = await own.subscribe(channel).catch(() => undefined);
        if (heard !== undefined) return;
      }
      // It is among those that are subscribed to when the connection is back.
      await new Promise<void>((resolve) => waiting.push(resolve));
    },
    remove(channel) {
      channels.delete(channel);
      if (own.status === "ready") own.unsubscribe(channel).catch(() => undefined);
    },
    renew: () => own.disconnect(true),
    stop() {
      stopped = true;
      own.disconnect();
    },
  };
}
