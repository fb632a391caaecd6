import { createEventBuffer } from "../buffer.ts";
import type { Sink } from "../bus.ts";
import type { Entry } from "../entry.ts";
import type { ActivityMetrics } from "../metrics.ts";
import type { Logger } from "../../platform/logger.ts";
import { randomText } from "../../platform/ids.ts";
import { clean } from "./cleaner.ts";
import { createLineFiles, type Addition, type Lost } from "./files.ts";
import { folderOf } from "./names.ts";

export interface LinesOptions {
  dir: string;
  /** Of the process; part of its files' names. */
  name: string;
  /** Events that may wait. */
  limit: number;
  everyMs: number;
  maxFileBytes: number;
  maxOpen: number;
  keepMs: number;
  maxBytes: number;
  metrics: ActivityMetrics;
  log: Logger;
  now?: () => Date;
}

/** Users whose lines are written at once; the thread pool that does it has other work too. */
const AT_ONCE = 4;
const CLEAN_EVERY_MS = 3_600_000;
const FIRST_CLEAN_MS = 60_000;
/** After this share of the room has been written, room is looked for at once. */
const CLEAN_SHARE = 20;

/** What goes to which file, in order. */
function additionsOf(batch: readonly Entry[]): Addition[] {
  const additions = new Map<string, Addition>();
  for (const { event, json } of batch) {
    const folder = folderOf(event.user_id ?? (event.kind === "operator.acted" ? event.actor_id : null));
    const day = event.at.slice(0, 10);
    const key = `${folder}/${day}`;
    const addition = additions.get(key);
    if (addition) addition.lines.push(`${json}\n`);
    else additions.set(key, { folder, day, lines: [`${json}\n`] });
  }
  return [...additions.values()];
}

/**
 * The activity log: a folder for each user, in it a file a day (UTC) and process, a further one when a size is reached, one event as JSON on
 * each line. When nothing can be written (disk full, no permission) events are dropped and counted, and calls go on.
 */
export function createLinesSink(options: LinesOptions): Sink & { cleanNow(): Promise<void> } {
  const { dir, keepMs, maxBytes, log, now = () => new Date() } = options;
  const writer = `${options.name}-${randomText(8, "0123456789abcdefghijklmnopqrstuvwxyz")}`;
  const files = createLineFiles({ dir, writer, maxBytes: options.maxFileBytes, maxOpen: options.maxOpen });
  let sinceClean = 0;
  let tooFull = false;
  let cleaning: Promise<void> | undefined;

  async function write(batch: Entry[]): Promise<Lost> {
    if (tooFull) throw new Error(`the files of today alone take more than ${maxBytes} bytes`);
    const total: Lost = { lost: 0 };
    const additions = additionsOf(batch);
    for (let from = 0; from < additions.length; from += AT_ONCE) {
      const some = additions.slice(from, from + AT_ONCE);
      for (const { lost, error } of await Promise.all(some.map((addition) => files.add(addition)))) {
        total.lost += lost;
        total.error ??= error;
      }
      await files.tidy();
    }
    for (const { lines } of additions) for (const line of lines) sinceClean += line.length;
    if (sinceClean > maxBytes / CLEAN_SHARE) void cleanNow();
    return total;
  }

  function cleanNow(): Promise<void> {
    sinceClean = 0;
    cleaning ??= clean({ dir, keepMs, maxBytes, now: now() })
      .then(({ removed, bytes }) => {
        if (removed > 0) log.info({ removed, bytes }, "old files of the activity log were removed");
        tooFull = bytes > maxBytes;
      })
      .catch((error: unknown) => log.warn({ err: error }, "old files of the activity log could not be removed"))
      .finally(() => (cleaning = undefined));
    return cleaning;
  }

  const buffer = createEventBuffer<Entry>({ ...options, name: "lines", write, retries: false });
  const first = setTimeout(() => void cleanNow(), FIRST_CLEAN_MS).unref();
  const regular = setInterval(() => void cleanNow(), CLEAN_EVERY_MS).unref();
  return {
    name: "lines",
    accept: (entry) => buffer.push(entry),
    cleanNow,
    async stop(graceMs) {
      clearTimeout(first);
      clearInterval(regular);
      await buffer.stop(graceMs);
      await cleaning;
      await files.close();
    },
  };
}
