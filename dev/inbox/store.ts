import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

export interface Message {
  id: string;
  from: string;
  to: string[];
  subject: string;
  text: string;
  html: string;
  /** When it arrived, ISO 8601. */
  date: string;
}

export interface MessageStore {
  add(message: Message): void;
  /** Newest first; `to` is compared without regard to case. */
  list(to?: string): Message[];
  get(id: string): Message | undefined;
  clear(): void;
}

const KEPT = 1_000;

/** The last 1,000 messages, in memory and, when `file` is given, one JSON line each on disk, so that a restart keeps them. */
export function createMessageStore(file?: string): MessageStore {
  let messages = file ? load(file) : [];
  let linesOnDisk = messages.length;

  function rewrite(): void {
    if (!file) return;
    writeFileSync(`${file}.tmp`, messages.map((message) => `${JSON.stringify(message)}\n`).join(""), { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
    linesOnDisk = messages.length;
  }

  return {
    add(message) {
      messages.push(message);
      if (messages.length > KEPT) messages = messages.slice(-KEPT);
      if (!file) return;
      if (linesOnDisk >= 2 * KEPT) return rewrite();
      appendFileSync(file, `${JSON.stringify(message)}\n`, { mode: 0o600 });
      linesOnDisk += 1;
    },
    list(to) {
      const wanted = to?.trim().toLowerCase();
      return messages.filter((message) => !wanted || message.to.some((address) => address.toLowerCase() === wanted)).reverse();
    },
    get: (id) => messages.find((message) => message.id === id),
    clear() {
      messages = [];
      rewrite();
    },
  };
}

/** A line that a crash cut short is left out. */
function load(file: string): Message[] {
  mkdirSync(path.dirname(file), { recursive: true });
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return [];
  }
  if (text && !text.endsWith("\n")) appendFileSync(file, "\n");
  return text
    .split("\n")
    .flatMap((line) => {
      try {
        return line ? [JSON.parse(line) as Message] : [];
      } catch {
        return [];
      }
    })
    .slice(-KEPT);
}
