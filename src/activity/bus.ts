import { uuidv7 } from "../platform/ids.ts";
import type { Logger } from "../platform/logger.ts";
import { served } from "../platform/tracing/index.ts";
import { Entry } from "./entry.ts";
import { EVENT_VERSION, type ActivityEvent, type EventKind, type EventOf, type NewEvent } from "./event.ts";

/** Tells what happened. Returns at once and never throws: whoever tells never waits for whoever hears. */
export type Emit = (event: NewEvent) => void;

/** Where events go. `accept` may not wait: what cannot be kept is dropped and counted. */
export interface Sink {
  readonly name: string;
  accept(entry: Entry): void;
  /** Writes what is waiting, for `graceMs` at most, and takes no more. */
  stop(graceMs: number): Promise<void>;
}

export interface Bus {
  emit: Emit;
  /** Hears every event of one kind as it is told, in the same turn: for counting. */
  on<K extends EventKind>(kind: K, listener: (event: EventOf<K>) => void): void;
  addSink(sink: Sink): void;
  /** Writes what is waiting everywhere. */
  stop(graceMs: number): Promise<void>;
}

type Listener = (event: ActivityEvent) => void;

/** The one way of an event to everything that wants it. `hideIp` turns an address into what may be kept of it. */
export function createBus(options: { log?: Logger | undefined; hideIp?: (ip: string) => string | null } = {}): Bus {
  const { log, hideIp = (ip) => ip } = options;
  const listeners = new Map<EventKind, Listener[]>();
  const sinks: Sink[] = [];

  function stamp(event: NewEvent): ActivityEvent {
    const stamped = { v: EVENT_VERSION, id: "", at: "", user_id: null, request_id: null, ip: null, ...event } as ActivityEvent;
    stamped.id = event.id ?? uuidv7();
    stamped.at = event.at ?? new Date().toISOString();
    stamped.user_id = event.user_id ?? null;
    stamped.request_id = event.request_id === undefined ? (served()?.requestId ?? null) : event.request_id;
    stamped.ip = event.ip ? hideIp(event.ip) : null;
    return stamped;
  }

  return {
    emit(event) {
      try {
        const stamped = stamp(event);
        const hearing = listeners.get(event.kind);
        if (hearing) for (const listener of hearing) listener(stamped);
        if (sinks.length === 0) return;
        const entry = new Entry(stamped);
        for (const sink of sinks) sink.accept(entry);
      } catch (error) {
        log?.error({ err: error, kind: event.kind }, "an event could not be told");
      }
    },
    on(kind, listener) {
      listeners.set(kind, [...(listeners.get(kind) ?? []), listener as Listener]);
    },
    addSink: (sink) => void sinks.push(sink),
    async stop(graceMs) {
      await Promise.all(sinks.map((sink) => sink.stop(graceMs)));
    },
  };
}
