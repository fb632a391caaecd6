import { uploadsToEnd } from "./layout.ts";
import { type FileDeps, storageOf } from "./deps.ts";
import { markRemoving } from "./repository.ts";
import type { FileRecord } from "./types.ts";

/** Removes the bytes of a file at S3, those of unfinished uploads too. Idempotent. */
export async function clearBytes(deps: Pick<FileDeps, "storage">, file: FileRecord): Promise<void> {
  const { uploads, objects } = storageOf(deps);
  for (const upload of await uploadsToEnd(uploads, file)) await uploads.abort(upload);
  await objects.remove(file.objectKey);
}

/**
 * Takes a file from its owner's sight and its bytes from S3. Parts that are on their way, and a completion that S3 has begun, may still
 * arrive, and S3 may be away: so the row stays for a while, and the sweep removes the bytes once more before it removes the row. False
 * when this owner had no such file.
 */
export async function removeFile(deps: FileDeps, ownerId: string, id: string): Promise<boolean> {
  const file = await markRemoving(deps.pool, id, deps.settings.againMs, ownerId);
  if (!file) return false;
  await clearSoon(deps, file);
  return true;
}

/** Removes the bytes now if S3 lets us; if not, the sweep does. */
export async function clearSoon(deps: FileDeps, file: FileRecord): Promise<void> {
  try {
    await clearBytes(deps, file);
  } catch (error) {
    deps.log.info({ err: error, file_id: file.id }, "bytes of a file are removed later");
  }
}
