import type { Sink } from "../activity/index.ts";
import type { Redis } from "../platform/redis.ts";
import { PRESENCE, STREAM, STREAM_LENGTH, STREAM_LIFE_MS } from "./keys.ts";
import { addEvent, type Sums } from "./sums.ts";

type Entry = Parameters<Sink["accept"]>[0];

/** One message of a process holds at most so many events; more are counted, not shown. */
const MOST = 1_000;
const EVERY_MS = 100;
/** How often a process asks whether anybody listens, and shows that it is there while somebody does. */
const ASK_MS = 1_000;

export interface MonitorPublisher extends Sink {
  /** How many calls are under way, when this process relays any. */
  live: () => number;
  /** Somebody may have begun to listen: asks at once. */
  wake(): void;
}

/**
 * Tells listeners what happens in this process: ten messages a second at most, each with the events of a tenth of a second and their sums, and only
 * while somebody listens somewhere. While nobody does, an event costs one comparison and a busy process asks Redis once a second; an idle one
 * does nothing at all. Whoever is the first to listen has all processes woken.
 */
export function createMonitorPublisher(options: { redis: Redis; name: string; everyMs?: number; askMs?: number }): MonitorPublisher {
  const { redis, name, everyMs = EVERY_MS, askMs = ASK_MS } = options;
  let listening = false;
  /** Nobody listened a moment ago: nobody is asked about again yet. */
  let resting = false;
  let events: Entry[] = [];
  let sums: Sums = {};
  /** Beyond what a message holds. */
  let omitted = 0;
  /** While nobody listened. */
  let missed = 0;
  let timer: NodeJS.Timeout | undefined;
  let flushing = false;
  let stopped = false;

  function forget(): void {
    missed += events.length + omitted;
    events = [];
    sums = {};
    omitted = 0;
  }

  function rest(): void {
    listening = false;
    resting = true;
    forget();
    setTimeout(() => (resting = false), askMs).unref();
  }

  function schedule(ms: number): void {
    if (timer || flushing || stopped) return;
    timer = setTimeout(() => void flush(), ms).unref();
  }

  async function flush(): Promise<void> {
    timer = undefined;
    flushing = true;
    try {
      if (!listening) listening = (await redis.exists(PRESENCE)) === 1;
      if (listening) await publish();
      else rest();
    } catch {
      // Redis is away, and so is the monitor.
      rest();
    }
    flushing = false;
    if (listening) schedule(events.length > 0 || omitted > 0 ? everyMs : askMs);
  }

  async function publish(): Promise<void> {
    const text = `[${events.map(({ json }) => json).join(",")}]`;
    const fields = ["process", name, "events", text, "sums", JSON.stringify(sums)];
    fields.push("omitted", String(omitted), "missed", String(missed), "live", String(publisher.live()));
    events = [];
    sums = {};
    omitted = 0;
    missed = 0;
    const results = await redis
      .pipeline()
      .xadd(STREAM, "MAXLEN", "~", STREAM_LENGTH, "*", ...fields)
      .pexpire(STREAM, STREAM_LIFE_MS)
      .exists(PRESENCE)
      .exec();
    const failed = results?.find(([error]) => error)?.[0];
    if (failed) throw failed;
    listening = results?.[2]?.[1] === 1;
    if (!listening) rest();
  }

  const publisher: MonitorPublisher = {
    name: "monitor",
    live: () => 0,
    wake() {
      resting = false;
      if (!listening) schedule(0);
    },
    accept(entry) {
      if (resting) {
        missed += 1;
        return;
      }
      if (events.length < MOST) events.push(entry);
      else omitted += 1;
      addEvent(sums, entry.event);
      // The first event after a quiet second does not wait for the next sign of life.
      if (timer && events.length === 1 && listening) {
        clearTimeout(timer);
        timer = undefined;
      }
      schedule(everyMs);
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      if (listening && !flushing) await publish().catch(() => undefined);
    },
  };
  return publisher;
}
