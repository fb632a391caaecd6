import { appError, fieldError } from "../platform/errors.ts";
import { inTransaction } from "../platform/postgres.ts";
import type { StoredPart, Upload } from "../platform/storage/index.ts";
import { type FileDeps, storageOf } from "./deps.ts";
import { newPlace } from "./layout.ts";
import { keptName, nameProblem } from "./names.ts";
import { partSizeFor, partsOf, type PlannedPart } from "./parts.ts";
import { checkQuota } from "./quota.ts";
import { removeFile } from "./remove.ts";
import { findFile, insertFile, lockUsage, noteUpload } from "./repository.ts";
import { checkDeclared, type Declared } from "./rules.ts";
import type { FileRecord } from "./types.ts";

/** Where one part goes. */
export interface PartUrl {
  number: number;
  url: string;
}

/** An upload as its owner goes on with it. */
export interface UploadView {
  file: FileRecord;
  /** What arrived. */
  uploaded: StoredPart[];
  /** What is missing, when the file has several parts. */
  parts?: PartUrl[];
  /** Of a file of one part. */
  single?: { url: string; headers: Record<string, string> };
  /** Until when the URLs can be used. */
  urlsUntil: Date;
}

/** The parts a file was declared with. */
export const planOf = (file: FileRecord): PlannedPart[] => partsOf(file.size, file.partSize ?? Math.max(1, file.size));

/**
 * Opens an upload: the row first, with the quota taken, then the upload at S3. A process that dies in between leaves a row that nobody was
 * told of, which the sweep removes with what it may have opened.
 */
export async function openUpload(deps: FileDeps, ownerId: string, declared: Declared): Promise<UploadView> {
  const { pool, settings, limitsOf } = deps;
  const storage = storageOf(deps);
  const name = keptName(declared.name);
  const problem = nameProblem(name);
  if (problem) throw fieldError("name", problem);
  checkDeclared(declared, settings);
  const { kind, contentType, size, sha256 = null } = declared;
  const limits = await limitsOf(ownerId);
  const partSize = partSizeFor(size, settings.partSize);
  const file = await inTransaction(pool, async (tx) => {
    checkQuota(await lockUsage(tx, ownerId), { limits, settings, size });
    const place = newPlace(ownerId, kind, name);
    return insertFile(tx, { ...place, ownerId, kind, name, contentType, size, sha256, partSize, dueMs: settings.uploadTtlMs });
  });
  try {
    const upload = await storage.uploads.open(file.objectKey, contentType, isSummed(deps, file));
    if (!(await noteUpload(pool, file.id, upload.uploadId))) await storage.uploads.abort(upload);
    return await viewOf(deps, { ...file, uploadId: upload.uploadId }, []);
  } catch (error) {
    // Nobody gets to know of it, so it should not count.
    await removeFile(deps, ownerId, file.id).catch(() => undefined);
    throw error;
  }
}

/** What has arrived of an upload and new URLs for the rest. Throws `not_found`. */
export async function resumeUpload(deps: FileDeps, ownerId: string, id: string): Promise<UploadView> {
  const file = await findFile(deps.pool, ownerId, id);
  if (!file) throw appError("not_found");
  const upload = uploadOf(file);
  if (file.state !== "uploading" || !upload) return { file, uploaded: [], urlsUntil: new Date() };
  return viewOf(deps, file, (await storageOf(deps).uploads.parts(upload)) ?? []);
}

export function uploadOf(file: FileRecord): Upload | undefined {
  return file.uploadId === null ? undefined : { key: file.objectKey, uploadId: file.uploadId };
}

/** True when S3 itself compares the bytes with their sha256: it does so for one part, and for servers that can. */
function isSummed({ storage }: FileDeps, file: FileRecord): boolean {
  return Boolean(storage?.checksums) && file.sha256 !== null && file.size > 0 && planOf(file).length === 1;
}

async function viewOf(deps: FileDeps, file: FileRecord, uploaded: StoredPart[]): Promise<UploadView> {
  const { uploads } = storageOf(deps);
  const upload = uploadOf(file)!;
  const ttlMs = Math.min(deps.settings.urlTtlMs, Math.max(60_000, file.dueAt!.getTime() - Date.now()));
  const urlsUntil = new Date(Date.now() + ttlMs);
  const plan = planOf(file);
  if (plan.length === 1) {
    const part = { ...plan[0]!, contentType: file.contentType, ttlMs, ...(isSummed(deps, file) ? { sha256: file.sha256! } : {}) };
    return { file, uploaded, single: await uploads.presignPart(upload, part), urlsUntil };
  }
  const there = new Map(uploaded.map((part) => [part.number, part.size]));
  const missing = plan.filter((part) => there.get(part.number) !== part.size);
  const parts: PartUrl[] = [];
  for (const part of missing) parts.push({ number: part.number, url: (await uploads.presignPart(upload, { ...part, ttlMs })).url });
  return { file, uploaded, parts, urlsUntil };
}
