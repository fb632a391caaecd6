import { setTimeout as delay } from "node:timers/promises";
import { appError, type AppError } from "../platform/errors.ts";
import { isSum, type StoredPart } from "../platform/storage/index.ts";
import { type FileDeps, storageOf } from "./deps.ts";
import { clearSoon } from "./remove.ts";
import { findFile, markRejected, markWhole } from "./repository.ts";
import { BEGINNING_BYTES, beginsAs } from "./rules.ts";
import { planOf, uploadOf } from "./uploads.ts";
import type { FileRecord } from "./types.ts";

/** A part as the client remembers it. */
export interface GivenPart {
  number: number;
  etag?: string | undefined;
}

/** How long an owner can see why a file was rejected. */
export const REJECTED_MS = 86_400_000;
const LOOK_MS = 100;

/**
 * Makes a file of what was uploaded, if it is what was declared. Any number of calls, at once or after each other, in one process or
 * several, come to the same: parts are joined once at S3, and each step after that can be taken again, as after a process that died.
 * Throws `upload_incomplete` and `upload_mismatch`; while parts can still be sent again the upload stays open.
 */
export async function completeUpload(deps: FileDeps, ownerId: string, id: string, given: readonly GivenPart[] = []): Promise<FileRecord> {
  const file = await seen(deps, ownerId, id);
  if (file.state === "uploading") await join(deps, file, given);
  return settled(deps, ownerId, id);
}

async function seen(deps: FileDeps, ownerId: string, id: string): Promise<FileRecord> {
  const file = await findFile(deps.pool, ownerId, id);
  if (!file) throw appError("not_found");
  return file;
}

export const mismatch = (message: string, details: object = {}): AppError => appError("upload_mismatch", { message, details });

/** The file as it is now, after a short wait for the worker when it is being read. */
async function settled(deps: FileDeps, ownerId: string, id: string): Promise<FileRecord> {
  const until = Date.now() + deps.settings.patienceMs;
  for (;;) {
    const file = await seen(deps, ownerId, id);
    if (file.state === "rejected") throw mismatch(file.reason ?? "The file is not what was declared", { rejected: true });
    if (file.state !== "checking" || Date.now() > until) return file;
    await delay(LOOK_MS);
  }
}

async function join(deps: FileDeps, file: FileRecord, given: readonly GivenPart[]): Promise<void> {
  const { uploads, objects } = storageOf(deps);
  const upload = uploadOf(file);
  if (!upload) throw appError("invalid_state", { message: "This upload was not opened; begin a new one" });
  let joined = "done";
  if (file.size === 0) {
    // Not every server makes an object of an empty part.
    await uploads.abort(upload);
    await objects.putEmpty(file.objectKey, file.contentType);
  } else {
    const parts = await uploads.parts(upload);
    if (parts && (await areRight(deps, file, parts, given))) joined = await uploads.complete(upload, parts);
  }
  await judge(deps, file, joined === "changed");
}

/** Parts also go missing when the upload is swept, deleted or completed at this moment: then that counts, and no fault of the client's. */
async function areRight(deps: FileDeps, file: FileRecord, parts: readonly StoredPart[], given: readonly GivenPart[]): Promise<boolean> {
  try {
    checkParts(file, parts, given);
    return true;
  } catch (error) {
    if ((await seen(deps, file.ownerId, file.id)).state === "uploading") throw error;
    return false;
  }
}

/** Throws unless exactly the declared parts are there, with the bytes the client means. */
export function checkParts(file: FileRecord, parts: readonly StoredPart[], given: readonly GivenPart[]): void {
  const plan = planOf(file);
  const stored = new Map(parts.map((part) => [part.number, part]));
  const missing = plan.filter(({ number }) => !stored.has(number)).map(({ number }) => number);
  if (missing.length > 0) {
    throw appError("upload_incomplete", { message: `${missing.length} of ${plan.length} parts have not arrived`, details: { missing } });
  }
  const total = parts.reduce((sum, part) => sum + part.size, 0);
  const wrong = plan.find(({ number, size }) => stored.get(number)!.size !== size);
  if (wrong || total !== file.size) {
    throw mismatch(`The upload has ${total} bytes; ${file.size} were declared`, {
      declared: file.size,
      found: total,
      ...(wrong ? { part: wrong.number } : {}),
    });
  }
  const sum = plan.length === 1 ? parts[0]!.sha256 : undefined;
  if (file.sha256 !== null && sum !== undefined && sum !== file.sha256) {
    throw mismatch("The upload has another sha256 than was declared", { declared: file.sha256, found: sum });
  }
  for (const { number, etag } of given) {
    const there = stored.get(number);
    if (!there) throw mismatch(`There is no part ${number}`, { part: number });
    if (etag !== undefined && bare(etag) !== bare(there.etag)) {
      throw mismatch(`Part ${number} is another one than was named`, { part: number, declared: bare(etag), found: bare(there.etag) });
    }
  }
}

const bare = (etag: string): string => etag.replaceAll('"', "");

/** Looks at the whole object and notes what it is: ready, to be read by the worker, or rejected. */
async function judge(deps: FileDeps, file: FileRecord, changed: boolean): Promise<void> {
  const { pool } = deps;
  const object = await found(deps, file, changed);
  if (!object) return;
  const problem = await problemOf(deps, file, object);
  if (problem) {
    const rejected = await markRejected(pool, file.id, problem, REJECTED_MS);
    if (rejected) await clearSoon(deps, rejected);
    return;
  }
  const known = file.sha256 === null || file.size === 0 || isSum(object.checksum, file.sha256);
  const to = known === undefined ? "checking" : "ready";
  const marked = await markWhole(pool, file.id, { from: "uploading", to, etag: object.etag });
  if (!marked) return void (await clearIfRemoved(deps, file));
  if (to === "checking") await deps.startCheck(file.id, file.ownerId);
}

type Found = NonNullable<Awaited<ReturnType<ReturnType<typeof storageOf>["objects"]["head"]>>>;

/**
 * The object, after a short wait when another call is just making it; undefined when the file needs none any more. Throws when there is none:
 * a part was `changed` while they were joined, or the upload has ended.
 */
async function found(deps: FileDeps, file: FileRecord, changed: boolean): Promise<Found | undefined> {
  const until = Date.now() + deps.settings.patienceMs;
  for (;;) {
    const object = await storageOf(deps).objects.head(file.objectKey);
    if (object) return object;
    const now = await seen(deps, file.ownerId, file.id);
    if (now.state !== "uploading") return undefined;
    if (Date.now() > until && changed)
      throw appError("upload_incomplete", { message: "A part was sent again meanwhile; complete once more" });
    if (Date.now() > until) throw appError("invalid_state", { message: "This upload has ended at the storage; begin a new one" });
    await delay(LOOK_MS);
  }
}

async function problemOf(deps: FileDeps, file: FileRecord, object: Found): Promise<string | undefined> {
  if (object.size !== file.size) return `The file has ${object.size} bytes; ${file.size} were declared`;
  if (object.contentType.toLowerCase() !== file.contentType) return `The file is ${object.contentType}; ${file.contentType} was declared`;
  if (file.sha256 !== null && file.size > 0 && isSum(object.checksum, file.sha256) === false)
    return "The file has another sha256 than was declared";
  if (file.kind !== "avatar") return undefined;
  const head = await beginning(deps, file, object.etag);
  return beginsAs(file.contentType, head) ? undefined : `The file is not ${file.contentType}`;
}

async function beginning(deps: FileDeps, file: FileRecord, etag: string): Promise<Buffer> {
  if (file.size === 0) return Buffer.alloc(0);
  const body = await storageOf(deps).objects.read(file.objectKey, etag, { bytes: BEGINNING_BYTES });
  return body ? Buffer.concat(await body.toArray()) : Buffer.alloc(0);
}

/** A file that was deleted while its parts were joined: what S3 made of them goes too. */
async function clearIfRemoved(deps: FileDeps, file: FileRecord): Promise<void> {
  if (!(await findFile(deps.pool, file.ownerId, file.id))) await clearSoon(deps, file);
}
