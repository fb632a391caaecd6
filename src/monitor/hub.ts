import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import type { Logger } from "../platform/logger.ts";
import type { Redis } from "../platform/redis.ts";
import { PRESENCE, PRESENCE_MS, STATE_TURN, STREAM, STREAM_LENGTH } from "./keys.ts";
import type { ByeReason, Listener } from "./listener.ts";
import { compareIds, message, messagesOf, type StreamEntry } from "./messages.ts";
import { createRates, type Rates } from "./rates.ts";
import { oldestId, readBehind, startReader, type StreamReader } from "./reader.ts";
import type { Seats } from "./seats.ts";

const SECOND_MS = 1_000;
const PRESENCE_EVERY_MS = 5_000;
const STATE_EVERY_MS = 5_000;
const HEARTBEAT_MS = 15_000;
/** A second is told this long after it has ended: its last entries are read by then. */
const SETTLED_MS = 600;
/** Listeners written to in one turn of the event loop; calls get theirs in between. */
const IN_ONE_TURN = 20;
/** How long a listener that comes back may take to read what it has missed before it counts as slow. */
const CATCH_UP_MS = 10_000;
/** Entries it is sent at once meanwhile. */
const CATCH_UP_MOST = 50;

export interface Hub {
  /** Begins to send; what a returning listener has missed comes first. */
  add(listener: Listener): Promise<void>;
  remove(listener: Listener): void;
  readonly size: number;
  stop(): void;
}

export interface HubDeps {
  redis: Redis;
  seats: Seats;
  /** Whether this person may still look. */
  mayListen(userId: string, sessionId: string): Promise<boolean>;
  /** Tells every process that somebody listens. */
  wakeAll(): Promise<void>;
  /** How the system is, as JSON. */
  state(): Promise<string>;
  cut(reason: ByeReason): void;
  log: Logger;
}

/** The listeners of this copy. One reader for all; each message is made once for all who want the same. */
export function createHub(deps: HubDeps): Hub {
  const { redis, seats, cut, log } = deps;
  const listeners = new Set<Listener>();
  let rates: Rates = createRates(0);
  let reader: StreamReader | undefined;
  let starting: Promise<void> | undefined;
  let generation = 0;
  let clockAheadMs = 0;
  let timers: NodeJS.Timeout[] = [];

  function sendAway(listener: Listener, reason: ByeReason): void {
    if (listener.closed) return;
    cut(reason);
    listener.bye(reason);
    remove(listener);
  }

  function give(listener: Listener, text: Buffer | string): void {
    if (!listener.send(text)) sendAway(listener, "slow");
  }

  /** Sends to all, a few in each turn. */
  async function toAll(of: (listener: Listener) => Buffer | string | undefined): Promise<void> {
    let sent = 0;
    for (const listener of listeners) {
      const text = listener.live ? of(listener) : undefined;
      if (text === undefined || text.length === 0) continue;
      give(listener, text);
      sent += 1;
      if (sent % IN_ONE_TURN === 0) await turn();
    }
  }

  function gapOf(entry: StreamEntry, listener: Listener): string {
    if (entry.missed === 0 || !listener.resumed) return "";
    return message("gap", JSON.stringify({ reason: "nobody_listened", process: entry.process, events: entry.missed }));
  }

  const textFor = (entries: readonly StreamEntry[], listener: Listener): string =>
    entries.map((entry) => gapOf(entry, listener) + messagesOf(entry, listener.filter, listener.key === "")).join("");

  async function dispatch(entries: StreamEntry[]): Promise<void> {
    for (const entry of entries) rates.add(entry);
    const last = entries.at(-1)!.id;
    const shared = new Map<string, Buffer>();
    await toAll((listener) => {
      // One that came back may have been told of some of these already.
      const fresh =
        compareIds(listener.cursor, entries[0]!.id) < 0 ? entries : entries.filter(({ id }) => compareIds(listener.cursor, id) < 0);
      if (compareIds(listener.cursor, last) < 0) listener.cursor = last;
      if (fresh.length < entries.length || (listener.resumed && entries.some(({ missed }) => missed > 0))) return textFor(fresh, listener);
      const known = shared.get(listener.key);
      if (known) return known;
      const made = Buffer.from(textFor(entries, listener));
      shared.set(listener.key, made);
      return made;
    });
  }

  async function tellRates(): Promise<void> {
    if (!reader) return;
    const until = Math.floor((Date.now() + clockAheadMs - SETTLED_MS) / SECOND_MS) - 1;
    const text = rates
      .take(until)
      .map((second) => message("rates", JSON.stringify(second)))
      .join("");
    // With how far the listener is: it moves on also when nothing was for him.
    if (text !== "") await toAll(({ cursor }) => `id: ${cursor}\n${text}`);
  }

  async function keepPresence(): Promise<void> {
    await redis.set(PRESENCE, "1", "PX", PRESENCE_MS);
    await seats.keep(listeners);
  }

  /** One copy says how the system is, so that all listeners are told the same. */
  async function tellState(): Promise<void> {
    if ((await redis.set(STATE_TURN, "1", "PX", STATE_EVERY_MS - 500, "NX")) !== "OK") return;
    await redis.xadd(STREAM, "MAXLEN", "~", STREAM_LENGTH, "*", "state", await deps.state());
  }

  async function checkSessions(): Promise<void> {
    const known = new Map<string, Promise<boolean>>();
    for (const listener of listeners) {
      const { userId, sessionId } = listener;
      const may = known.get(sessionId) ?? deps.mayListen(userId, sessionId);
      known.set(sessionId, may);
      // While that cannot be found out, nobody is sent away.
      if (!(await may.catch(() => true))) sendAway(listener, "signed_out");
    }
  }

  const quietly = (work: () => Promise<void>) => () => void work().catch((error: unknown) => log.debug({ err: error }, "the monitor"));

  async function start(): Promise<void> {
    // Whoever leaves while this is under way, and is followed by another, ends it: there is one reader at most.
    const mine = (generation += 1);
    const [seconds, micros] = await redis.time();
    clockAheadMs = Number(seconds) * 1_000 + Number(micros) / 1_000 - Date.now();
    await keepPresence();
    const began = await startReader(redis, dispatch);
    if (mine !== generation) return began.stop();
    reader = began;
    rates = createRates(Math.floor((Date.now() + clockAheadMs) / SECOND_MS));
    timers = [
      setInterval(quietly(tellRates), SECOND_MS),
      setInterval(quietly(keepPresence), PRESENCE_EVERY_MS),
      setInterval(quietly(tellState), STATE_EVERY_MS),
      setInterval(quietly(checkSessions), SECOND_MS),
      setInterval(
        quietly(() => toAll(() => ": still here\n\n")),
        HEARTBEAT_MS,
      ),
    ];
    for (const timer of timers) timer.unref();
    if (listeners.size === 0) return stopReading();
    // Without it they find out within a second, if they have anything to tell.
    await deps.wakeAll().catch(() => undefined);
  }

  function stopReading(): void {
    generation += 1;
    for (const timer of timers) clearInterval(timer);
    timers = [];
    reader?.stop();
    reader = undefined;
    starting = undefined;
  }

  function remove(listener: Listener): void {
    if (!listeners.delete(listener)) return;
    seats.free(listener.userId, listener.id);
    if (listeners.size === 0) stopReading();
  }

  /** Sends what is in the stream behind the listener's cursor until it has what this copy has. */
  async function catchUp(listener: Listener): Promise<void> {
    const oldest = await oldestId(redis);
    if (oldest === undefined || compareIds(listener.cursor, oldest) < 0)
      give(listener, message("gap", JSON.stringify({ reason: "too_long_ago", from: listener.cursor, to: oldest ?? null })));
    for (;;) {
      const known = reader?.lastId;
      const entries = await readBehind(redis, listener.cursor, CATCH_UP_MOST);
      if (listener.closed) return;
      if (entries.length > 0) {
        listener.cursor = entries.at(-1)!.id;
        listener.res.write(textFor(entries, listener));
        if (listener.res.writableNeedDrain) {
          const late = await once(listener.res, "drain", { signal: AbortSignal.timeout(CATCH_UP_MS) }).then(
            () => false,
            () => true,
          );
          if (late) return sendAway(listener, "slow");
        }
      }
      if (!reader || listener.closed) return;
      // Nothing came between: from here on the reader's entries are the next ones.
      if (entries.length < CATCH_UP_MOST && reader.lastId === known) break;
    }
    listener.live = true;
  }

  return {
    async add(listener) {
      listeners.add(listener);
      const started = (starting ??= start());
      try {
        await started;
      } catch (error) {
        if (starting === started) starting = undefined;
        remove(listener);
        throw error;
      }
      if (listener.resumed) return catchUp(listener);
      listener.cursor = reader?.lastId ?? "";
      listener.live = true;
    },
    remove,
    get size() {
      return listeners.size;
    },
    stop() {
      for (const listener of listeners) sendAway(listener, "shutdown");
    },
  };
}
