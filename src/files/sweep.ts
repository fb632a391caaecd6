import { type FileDeps, storageOf } from "./deps.ts";
import { isOurKey, ROOT } from "./layout.ts";
import { clearBytes } from "./remove.ts";
import { deleteRow, dueFiles, knownKeys, markRemoving, noteSearch, searchedUntil, waitingChecks } from "./repository.ts";

/** What one run did. */
export interface Swept {
  /** Uploads that were never finished. */
  expired: number;
  /** Files whose last trace went. */
  removed: number;
  /** Objects and uploads at S3 that belonged to no file. */
  orphans: number;
  /** Checks that were started again. */
  checks: number;
  /** Files whose bytes S3 would not remove; the next run tries them again. */
  failed: number;
}

const AT_ONCE = 100;
const MOST = 5_000;
/** A check that has not begun by then was lost between us and Temporal. */
const LOST_MS = 60_000;
const SEARCH = "objects";
/** When so many fail one after the other it is not their fault: S3 is away. */
const MOST_FAILED = 3;

/**
 * Ends uploads that took too long, removes what was deleted for the second and last time, has lost checks begun again, and looks through a
 * page of the bucket for what belongs to nobody. Idempotent, and safe to run twice at once. Rejects while S3 is away.
 */
export function createSweep(deps: FileDeps) {
  const { pool, settings, log } = deps;

  async function due(onProgress: (done: number) => void): Promise<Pick<Swept, "expired" | "removed" | "failed">> {
    const done = { expired: 0, removed: 0, failed: 0 };
    const passed: string[] = [];
    let inRow = 0;
    while (done.expired + done.removed < MOST) {
      const files = await dueFiles(pool, passed, AT_ONCE);
      for (const file of files) {
        try {
          // Out of sight first, so that no completion can make it ready while its bytes go.
          if (file.state !== "removing" && !(await markRemoving(pool, file.id, settings.againMs))) continue;
          await clearBytes(deps, file);
          if (file.state === "removing") await deleteRow(pool, file.id);
          done[file.state === "uploading" ? "expired" : "removed"] += 1;
          inRow = 0;
        } catch (error) {
          passed.push(file.id);
          done.failed += 1;
          if ((inRow += 1) >= MOST_FAILED) throw error;
          log.warn({ err: error, file_id: file.id }, "the bytes of a file could not be removed; it is tried again");
        }
        onProgress(done.expired + done.removed);
      }
      if (files.length < AT_ONCE) break;
    }
    return done;
  }

  /** The next page of objects. What is young may belong to a row that is not written yet, or to a copy of the database. */
  async function objectsOfNobody(): Promise<number> {
    const { objects } = storageOf(deps);
    const page = await objects.list(ROOT, await searchedUntil(pool, SEARCH));
    const old = page.filter(({ key, changedAt }) => isOurKey(key) && changedAt.getTime() < Date.now() - settings.orphanAgeMs);
    const known = await knownKeys(
      pool,
      old.map(({ key }) => key),
    );
    const orphans = old.filter(({ key }) => !known.has(key));
    for (const { key } of orphans) {
      await objects.remove(key);
      log.warn({ object: key }, "an object that belongs to no file was removed");
    }
    await noteSearch(pool, SEARCH, page.at(-1)?.key);
    return orphans.length;
  }

  async function uploadsOfNobody(): Promise<number> {
    const { uploads } = storageOf(deps);
    const open = await uploads.unfinished(ROOT);
    const old = open.filter(({ key, startedAt }) => isOurKey(key) && startedAt.getTime() < Date.now() - settings.orphanAgeMs);
    const known = await knownKeys(
      pool,
      old.map(({ key }) => key),
    );
    const orphans = old.filter(({ key }) => !known.has(key));
    for (const upload of orphans) await uploads.abort(upload);
    return orphans.length;
  }

  return async function sweep(onProgress: (done: number) => void = () => undefined): Promise<Swept> {
    if (!deps.storage) return { expired: 0, removed: 0, orphans: 0, checks: 0, failed: 0 };
    const lost = await waitingChecks(pool, LOST_MS, AT_ONCE);
    for (const { id, ownerId } of lost) await deps.startCheck(id, ownerId);
    const done = await due(onProgress);
    const orphans = (await objectsOfNobody()) + (await uploadsOfNobody());
    return { ...done, orphans, checks: lost.length };
  };
}

export type Sweep = ReturnType<typeof createSweep>;
