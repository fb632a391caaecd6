import { readdir, rmdir, stat, unlink } from "node:fs/promises";
import path from "node:path";
import { dayOf } from "./names.ts";

export interface CleanOptions {
  dir: string;
  /** Days that ended longer ago than this are removed. */
  keepMs: number;
  /** Whole days are removed, the oldest first, until no more than this is left. Today's stays. */
  maxBytes: number;
  now: Date;
}

/** What a cleaning did. `bytes` is what is left. */
export interface Cleaned {
  removed: number;
  bytes: number;
}

interface Found {
  folder: string;
  name: string;
  day: string;
}

/** Every file of ours below a folder, a user after the other. What goes away meanwhile is passed over: another process cleans too. */
async function* filesBelow(dir: string): AsyncGenerator<Found> {
  const folders = await readdir(dir, { withFileTypes: true }).catch(() => []);
  for (const folder of folders) {
    if (!folder.isDirectory()) continue;
    const names = await readdir(path.join(dir, folder.name)).catch(() => []);
    for (const name of names) {
      const day = dayOf(name);
      if (day !== undefined) yield { folder: folder.name, name, day };
    }
  }
}

/** The first day that may stay. */
function firstKept(sizes: Map<string, number>, { keepMs, maxBytes, now }: CleanOptions): string {
  const today = now.toISOString().slice(0, 10);
  const oldest = new Date(now.getTime() - keepMs).toISOString().slice(0, 10);
  const days = [...sizes.keys()].filter((day) => day >= oldest).sort();
  let total = days.reduce((sum, day) => sum + sizes.get(day)!, 0);
  for (const day of days) {
    if (day >= today || total <= maxBytes) return day;
    total -= sizes.get(day)!;
  }
  return oldest;
}

/** Removes files by age and by what all of them take, and folders that are left empty. Files that are not of the activity log stay. */
export async function clean(options: CleanOptions): Promise<Cleaned> {
  const { dir } = options;
  const sizes = new Map<string, number>();
  for await (const { folder, name, day } of filesBelow(dir)) {
    const { size } = await stat(path.join(dir, folder, name)).catch(() => ({ size: 0 }));
    sizes.set(day, (sizes.get(day) ?? 0) + size);
  }
  const kept = firstKept(sizes, options);
  let removed = 0;
  const touched = new Set<string>();
  for await (const { folder, name, day } of filesBelow(dir)) {
    if (day >= kept) continue;
    await unlink(path.join(dir, folder, name)).then(
      () => (removed += 1),
      () => undefined,
    );
    touched.add(folder);
  }
  for (const folder of touched) await rmdir(path.join(dir, folder)).catch(() => undefined);
  let bytes = 0;
  for (const [day, size] of sizes) if (day >= kept) bytes += size;
  return { removed, bytes };
}
