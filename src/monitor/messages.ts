import type { ActivityEvent } from "../activity/index.ts";
import { matches, type MonitorFilter } from "./filter.ts";
import type { Sums } from "./sums.ts";

/** One entry of the stream: what a process told in a tenth of a second, or how the system is. */
export interface StreamEntry {
  id: string;
  process: string;
  /** A JSON array. */
  events: string;
  sums: Sums;
  omitted: number;
  missed: number;
  live: number;
  /** JSON; of an entry that has nothing else. */
  state: string | undefined;
  parsed?: ActivityEvent[];
}

/** Reads what Redis gives: an id, and names and values in turn. */
export function entryOf([id, fields]: [string, string[]]): StreamEntry {
  const values = new Map<string, string>();
  for (let i = 0; i < fields.length; i += 2) values.set(fields[i]!, fields[i + 1]!);
  return {
    id,
    process: values.get("process") ?? "",
    events: values.get("events") ?? "[]",
    sums: JSON.parse(values.get("sums") ?? "{}") as Sums,
    omitted: Number(values.get("omitted") ?? 0),
    missed: Number(values.get("missed") ?? 0),
    live: Number(values.get("live") ?? 0),
    state: values.get("state"),
  };
}

/** A server-sent event. Data is JSON, which has no line breaks. With an id a client that comes back goes on behind it. */
export const message = (event: string, data: string, id?: string): string =>
  `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`;

const NONE = "[]";

/** What listeners with this filter are sent of an entry; empty when nothing of it is for them. */
export function messagesOf(entry: StreamEntry, filter: MonitorFilter, unfiltered: boolean): string {
  if (entry.state !== undefined) return message("state", entry.state, entry.id);
  const omitted =
    entry.omitted > 0 ? message("gap", JSON.stringify({ reason: "overload", process: entry.process, events: entry.omitted })) : "";
  let events = entry.events;
  if (!unfiltered && events !== NONE) {
    entry.parsed ??= JSON.parse(events) as ActivityEvent[];
    const wanted = entry.parsed.filter((event) => matches(filter, event));
    events = JSON.stringify(wanted);
  }
  return events === NONE
    ? omitted
    : omitted + message("events", `{"process":${JSON.stringify(entry.process)},"events":${events}}`, entry.id);
}

const ID = /^(\d{1,15})-(\d{1,10})$/;

/** Whether a client's Last-Event-ID is one of ours. */
export const isEntryId = (text: string): boolean => ID.test(text);

/** Negative when `a` came before `b`. */
export function compareIds(a: string, b: string): number {
  const [, aMs = "0", aNo = "0"] = ID.exec(a) ?? [];
  const [, bMs = "0", bNo = "0"] = ID.exec(b) ?? [];
  return Number(aMs) - Number(bMs) || Number(aNo) - Number(bNo);
}

/** The second of Redis' clock in which an entry was added. */
export const secondOf = (id: string): number => Math.floor(Number(id.slice(0, id.indexOf("-"))) / 1_000);
