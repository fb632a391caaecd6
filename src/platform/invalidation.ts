import pg from "pg";
import type { Logger } from "./logger.ts";
import type { Queryable } from "./postgres.ts";

/** What a cached thing is about; the payload is the id of what changed, or "*" for all. */
export type Topic = "user" | "api_key" | "model" | "provider" | "settings" | "limits" | "monitor";

export interface Invalidation {
  /** Calls back for every change of `topic`, with "*" whenever changes may have been missed. */
  on(topic: Topic, listener: (id: string) => void): void;
  /** True while changes arrive. While false, cached copies may be stale and must not be trusted. */
  readonly fresh: boolean;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const CHANNEL = "tollkeeper_changed";
/** A connection that hangs without breaking is found within the sum of both, so that a revoked key never lives a second longer. */
const PROBE_MS = 400;
const PROBE_TIMEOUT_MS = 500;

/** Announces a change when the surrounding transaction commits. Every copy of the api hears it within milliseconds. */
export async function announce(db: Queryable, topic: Topic, id: string): Promise<void> {
  await db.query("SELECT pg_notify($1, $2)", [CHANNEL, `${topic}:${id}`]);
}

/**
 * Cache invalidation by Postgres LISTEN/NOTIFY. The notice is part of the transaction that made the change, so it cannot be lost
 * or run ahead of it, and it needs no part that the relay does not need anyway. When the connection breaks, everything is dropped
 * and nothing counts as fresh until it is back.
 */
export function createInvalidation(options: { url: string; log: Logger }): Invalidation {
  const listeners = new Map<Topic, ((id: string) => void)[]>();
  let client: pg.Client | undefined;
  let stopped = false;
  let fresh = false;
  let retry: NodeJS.Timeout | undefined;
  let probe: NodeJS.Timeout | undefined;

  function emit(topic: Topic, id: string): void {
    for (const listener of listeners.get(topic) ?? []) listener(id);
  }

  function dropAll(): void {
    for (const topic of listeners.keys()) emit(topic, "*");
  }

  function lost(which: pg.Client): void {
    if (client !== which) return;
    client = undefined;
    fresh = false;
    clearInterval(probe);
    which.end().catch(() => undefined);
    dropAll();
    if (!stopped) retry = setTimeout(() => void connect(), 200);
  }

  async function connect(): Promise<void> {
    const next = new pg.Client({
      connectionString: options.url,
      application_name: "tollkeeper-listen",
      connectionTimeoutMillis: 3_000,
      keepAlive: true,
      query_timeout: PROBE_TIMEOUT_MS,
    });
    client = next;
    next.on("error", () => lost(next));
    next.on("end", () => lost(next));
    next.on("notification", (notice) => {
      const text = notice.payload ?? "";
      const cut = text.indexOf(":");
      if (cut > 0) emit(text.slice(0, cut) as Topic, text.slice(cut + 1));
    });
    try {
      await next.connect();
      await next.query(`LISTEN ${CHANNEL}`);
      if (client !== next) return;
      fresh = true;
      dropAll();
      // A connection that hangs without breaking is found by asking it something.
      probe = setInterval(() => {
        next.query("SELECT 1").catch(() => lost(next));
      }, PROBE_MS);
      probe.unref();
    } catch {
      lost(next);
    }
  }

  return {
    on(topic, listener) {
      const list = listeners.get(topic) ?? [];
      list.push(listener);
      listeners.set(topic, list);
    },
    get fresh() {
      return fresh;
    },
    start: connect,
    async stop() {
      stopped = true;
      clearTimeout(retry);
      clearInterval(probe);
      const current = client;
      client = undefined;
      fresh = false;
      await current?.end().catch(() => undefined);
    },
  };
}
