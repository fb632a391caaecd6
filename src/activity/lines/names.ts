import { sha256 } from "../../platform/secrets.ts";

/** Where events are kept that nobody known stands behind. No user's folder has this name. */
const NOBODY = "_nobody";
/** Our own ids, and whatever is as harmless on every file system: no case, no dots, no leading or trailing hyphen. */
const HARMLESS = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Devices, to some systems. */
const RESERVED = /^(?:con|prn|aux|nul|com\d|lpt\d)$/;
const READABLE = 40;

/**
 * The folder of a user's events. Ids of other systems may be any text; whatever could leave the folder, name a device, differ in case alone
 * or be too long becomes what is harmless of it and a hash. Different ids have different folders.
 */
export function folderOf(userId: string | null): string {
  if (userId === null) return NOBODY;
  if (HARMLESS.test(userId) && !RESERVED.test(userId)) return userId;
  const readable = userId
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, READABLE);
  // As JSON, in which halves of characters differ from each other.
  return `u~${readable}~${sha256(JSON.stringify(userId)).slice(0, 32)}`;
}

const FILE = /^(\d{4}-\d{2}-\d{2})\.[a-z0-9-]+(?:\.\d+)?\.jsonl$/;

/** The file of a day (`2026-11-21`, UTC) that one process writes: its first, or a further one once that has reached its size. */
export function fileName(day: string, writer: string, part: number): string {
  return part === 1 ? `${day}.${writer}.jsonl` : `${day}.${writer}.${part}.jsonl`;
}

/** The day of a file of ours; undefined for any other. */
export function dayOf(name: string): string | undefined {
  return FILE.exec(name)?.[1];
}
