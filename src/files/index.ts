import type { Route } from "../http/route.ts";
import { appError } from "../platform/errors.ts";
import { createCheck, type Check } from "./check.ts";
import { type FileDeps, storageOf } from "./deps.ts";
import { completeUpload, type GivenPart } from "./finish.ts";
import { contentDisposition } from "./names.ts";
import { quotaOf } from "./quota.ts";
import { removeFile } from "./remove.ts";
import { findFile, listFiles, markTaskRemoving, usageOf, type FileFilter } from "./repository.ts";
import { fileRoutes } from "./routes.ts";
import { SHOWN_TYPES, type Declared } from "./rules.ts";
import { fetchFile, storeResult, type Result } from "./store.ts";
import { createSweep, type Sweep } from "./sweep.ts";
import type { FileRecord } from "./types.ts";
import { openUpload, resumeUpload, type UploadView } from "./uploads.ts";

export { createStartCheck } from "./checking.ts";
export type { FileDeps } from "./deps.ts";
export { watchFiles } from "./metrics.ts";
export type { Swept } from "./sweep.ts";
export type { FileRecord, FileSettings, FileState } from "./types.ts";

/** Files of people and of their tasks. The bytes are in S3 and never pass through the api. */
export interface Files {
  routes: Route[];

  // What an owner asks for. Throws `not_found` for anything that is not his.
  open(ownerId: string, declared: Declared): Promise<UploadView>;
  resume(ownerId: string, id: string): Promise<UploadView>;
  complete(ownerId: string, id: string, parts?: readonly GivenPart[]): Promise<FileRecord>;
  find(ownerId: string, id: string): Promise<FileRecord>;
  exists(ownerId: string, id: string): Promise<{ exists: boolean; file: FileRecord }>;
  list(ownerId: string, filter: FileFilter, page: { limit: number; offset: number }): Promise<{ items: FileRecord[]; total: number }>;
  usage(ownerId: string): Promise<{ bytes: { used: number; limit: number }; files: { used: number; limit: number } }>;
  download(ownerId: string, id: string, disposition?: "attachment" | "inline"): Promise<{ url: string; expiresAt: Date }>;
  remove(ownerId: string, id: string): Promise<void>;

  // What tasks need.
  /** A ready file of this owner. */
  read(ownerId: string, fileId: string): Promise<FileRecord | undefined>;
  /** Writes a ready file to a new file at `toPath`; throws when size or sha256 are not those that were checked. */
  fetch(file: FileRecord, toPath: string, signal?: AbortSignal): Promise<void>;
  /** Keeps what a task made; the same key gives the same file. */
  store(result: Result): Promise<FileRecord>;
  /** Takes everything a task made from sight, and its bytes soon. Returns how many files. */
  removeOfTask(taskId: string): Promise<number>;

  // What the worker does.
  check: Check;
  sweep: Sweep;
}

/** Puts the domain together. Opens nothing. */
export function createFiles(deps: FileDeps): Files {
  const { pool, settings } = deps;

  async function find(ownerId: string, id: string): Promise<FileRecord> {
    const file = await findFile(pool, ownerId, id);
    if (!file) throw appError("not_found");
    return file;
  }

  const service: Omit<Files, "routes"> = {
    open: (ownerId, declared) => openUpload(deps, ownerId, declared),
    resume: (ownerId, id) => resumeUpload(deps, ownerId, id),
    complete: (ownerId, id, parts) => completeUpload(deps, ownerId, id, parts),
    find,
    async exists(ownerId, id) {
      const file = await find(ownerId, id);
      const whole = file.state === "ready" || file.state === "checking";
      return { exists: whole && (await storageOf(deps).objects.head(file.objectKey))?.etag === file.etag, file };
    },
    list: (ownerId, filter, page) => listFiles(pool, ownerId, filter, page),
    async usage(ownerId) {
      const [used, limits] = await Promise.all([usageOf(pool, ownerId), deps.limitsOf(ownerId)]);
      const quota = quotaOf(limits, settings);
      return { bytes: { used: used.bytes, limit: quota.bytes }, files: { used: used.files, limit: quota.files } };
    },
    async download(ownerId, id, disposition = "attachment") {
      const file = await find(ownerId, id);
      if (file.state !== "ready")
        throw appError("invalid_state", { message: `This file is ${file.state}`, details: { status: file.state } });
      const how = disposition === "inline" && SHOWN_TYPES.has(file.contentType) ? "inline" : "attachment";
      const url = await storageOf(deps).objects.presignGet(file.objectKey, {
        contentType: file.contentType,
        disposition: contentDisposition(file.name, how),
        ttlMs: settings.urlTtlMs,
      });
      return { url, expiresAt: new Date(Date.now() + settings.urlTtlMs) };
    },
    async remove(ownerId, id) {
      if (!(await removeFile(deps, ownerId, id))) throw appError("not_found");
    },
    async read(ownerId, fileId) {
      const file = await findFile(pool, ownerId, fileId);
      return file?.state === "ready" ? file : undefined;
    },
    fetch: (file, toPath, signal) => fetchFile(deps, file, toPath, signal),
    store: (result) => storeResult(deps, result),
    removeOfTask: (taskId) => markTaskRemoving(pool, taskId),
    check: createCheck(deps),
    sweep: createSweep(deps),
  };
  return { ...service, routes: fileRoutes(service) };
}
