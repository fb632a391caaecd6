import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { EVENT_VERSION, type ActivityEvent } from "../event.ts";
import { dayOf, folderOf } from "./names.ts";

/** What a line says; undefined for one that a crash or a full disk cut off, or of a version that is not known. */
function eventOf(line: string): ActivityEvent | undefined {
  try {
    const event = JSON.parse(line) as ActivityEvent;
    return event.v === EVENT_VERSION ? event : undefined;
  } catch {
    return undefined;
  }
}

/** The events of a user on one UTC day (`2026-11-21`) from the files of every process, in the order of their times. */
export async function readDay(dir: string, userId: string | null, day: string): Promise<ActivityEvent[]> {
  const folder = path.join(dir, folderOf(userId));
  const names = await readdir(folder).catch(() => []);
  const events: ActivityEvent[] = [];
  for (const name of names.filter((name) => dayOf(name) === day)) {
    for await (const line of createInterface({ input: createReadStream(path.join(folder, name)), crlfDelay: Infinity })) {
      const event = eventOf(line);
      if (event) events.push(event);
    }
  }
  return events.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}
