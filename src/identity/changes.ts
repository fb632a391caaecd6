import type { Invalidation, Topic } from "../platform/invalidation.ts";

/** Announcements from all copies, and a short way to this copy's own caches. */
export interface Changes extends Pick<Invalidation, "on" | "fresh"> {
  /** Drops here at once what the committed change concerns; the announcement reaches the other copies a moment later. */
  made(topic: Topic, id: string): void;
}

/** Whoever was told "done" by this copy must never be answered by this copy from what was before. */
export function createChanges(invalidation: Invalidation): Changes {
  const listeners: [Topic, (id: string) => void][] = [];
  return {
    on(topic, listener) {
      listeners.push([topic, listener]);
      invalidation.on(topic, listener);
    },
    get fresh() {
      return invalidation.fresh;
    },
    made(topic, id) {
      for (const [heard, listener] of listeners) if (heard === topic) listener(id);
    },
  };
}
