import { LRUCache } from "lru-cache";
import type { Topic } from "../platform/invalidation.ts";
import type { Changes } from "./changes.ts";

export interface FreshCache<Value extends object> {
  /** What is known without asking anybody; undefined also while changes may have been missed. */
  peek(key: string): Value | undefined;
  /** What is known, else what `load` finds. Rejects when `load` does. */
  get(key: string): Promise<Value | undefined>;
}

/**
 * A cache that never outlives a change: entries are dropped by the announcements they are tagged with, and while announcements may
 * be missed (`!fresh`) every read goes to `load`. Things that do not exist are remembered for `absentTtlMs`.
 */
export function createFreshCache<Value extends object>(options: {
  changes: Pick<Changes, "on" | "fresh">;
  max: number;
  ttlMs: number;
  absentTtlMs?: number;
  load: (key: string) => Promise<Value | undefined>;
  /** Which announcements drop an entry. */
  tags: (value: Value) => [Topic, string][];
  topics: Topic[];
}): FreshCache<Value> {
  const { changes: heard, load } = options;
  const keysByTag = new Map<string, Set<string>>();
  const loading = new Map<string, Promise<Value | undefined>>();
  let changes = 0;

  const tagsOf = (value: Value) => options.tags(value).map(([topic, id]) => `${topic}:${id}`);
  const entries = new LRUCache<string, Value>({
    max: options.max,
    ttl: options.ttlMs,
    ttlResolution: 100,
    dispose: (value, key, reason) => {
      if (reason === "set") return;
      for (const tag of tagsOf(value)) {
        const keys = keysByTag.get(tag);
        keys?.delete(key);
        if (keys?.size === 0) keysByTag.delete(tag);
      }
    },
  });
  const absent = options.absentTtlMs ? new LRUCache<string, true>({ max: 10_000, ttl: options.absentTtlMs }) : undefined;

  for (const topic of options.topics) {
    heard.on(topic, (id) => {
      changes += 1;
      loading.clear();
      absent?.clear();
      if (id === "*") entries.clear();
      else for (const key of keysByTag.get(`${topic}:${id}`) ?? []) entries.delete(key);
    });
  }

  async function loadAndKeep(key: string): Promise<Value | undefined> {
    const before = changes;
    const value = await load(key);
    // A change announced while we were reading may not be in what we read.
    if (before !== changes || !heard.fresh) return value;
    if (!value) {
      absent?.set(key, true);
      return undefined;
    }
    entries.set(key, value);
    for (const tag of tagsOf(value)) {
      const keys = keysByTag.get(tag) ?? new Set();
      keysByTag.set(tag, keys.add(key));
    }
    return value;
  }

  return {
    peek: (key) => (heard.fresh ? entries.get(key) : undefined),
    get(key) {
      if (!heard.fresh) return load(key);
      const known = entries.get(key);
      if (known) return Promise.resolve(known);
      if (absent?.has(key)) return Promise.resolve(undefined);
      const underWay = loading.get(key);
      if (underWay) return underWay;
      const started = loadAndKeep(key).finally(() => {
        if (loading.get(key) === started) loading.delete(key);
      });
      loading.set(key, started);
      return started;
    },
  };
}
