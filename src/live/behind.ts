import type { Redis } from "../platform/redis.ts";
import { compareIds } from "./ids.ts";
import { CLOCK, EVERYBODY, KEPT_MS, lostOf, streamOf } from "./keys.ts";
import { readEvent, type LiveEvent } from "./message.ts";
import { READ } from "./scripts.ts";

/** Why what came behind an id cannot all be told: it is too old, there was too much of it, or Redis lost it. */
export type GapReason = "too_long_ago" | "too_many" | "lost";

export interface Behind {
  gap: GapReason | undefined;
  /** Where one is who has everything that was told until now. */
  position: string;
  /** In order, oldest first. */
  events: LiveEvent[];
  /** There are no more of them. */
  complete: boolean;
}

type Entry = [id: string, fields: string[]];

const eventOf = ([id, fields]: Entry): LiveEvent => readEvent(`${id} ${fields[1]} ${fields[3]}`);

/** What a person was told behind `cursor`, at most about `count` events; without a cursor, only where now is. Rejects while Redis is away. */
export async function readBehind(redis: Redis, userId: string, cursor: string, count: number): Promise<Behind> {
  const streams = [streamOf(userId), EVERYBODY];
  const keys = [CLOCK, ...streams, ...streams.map(lostOf)];
  const reply = await redis.eval(READ, keys.length, ...keys, cursor, count, KEPT_MS);
  const [gap, position, own, all] = reply as [GapReason | "", string, Entry[], Entry[]];
  const pages = [own, all];
  // Of two pages only what both have reached is in order; the rest comes with the next ones.
  const ends = pages.filter((page) => page.length >= count).map((page) => page.at(-1)![0]);
  const end = ends.sort(compareIds)[0];
  const events = pages
    .flat()
    .filter(([id]) => end === undefined || compareIds(id, end) <= 0)
    .sort(([a], [b]) => compareIds(a, b))
    .map(eventOf);
  return { gap: gap === "" ? undefined : gap, position, events, complete: end === undefined };
}
