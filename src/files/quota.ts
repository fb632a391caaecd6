import { appError } from "../platform/errors.ts";
import type { Limits } from "../quotas/index.ts";
import type { FileSettings, StorageQuota } from "./types.ts";

/** What an account may store: as its limits say, else as configured. */
export function quotaOf(limits: Limits, settings: FileSettings): StorageQuota {
  return { bytes: limits.storage_bytes ?? settings.quota.bytes, files: limits.storage_files ?? settings.quota.files };
}

/** Throws `storage_full` when a file of this size would not fit beside what is stored and being uploaded. */
export function checkQuota(used: StorageQuota, asked: { limits: Limits; settings: FileSettings; size: number }): void {
  const quota = quotaOf(asked.limits, asked.settings);
  if (used.files + 1 > quota.files) {
    const message = `The account has ${used.files} files of at most ${quota.files}`;
    throw appError("storage_full", { message, details: { used: used.files, limit: quota.files, of: "files" } });
  }
  if (used.bytes + asked.size > quota.bytes) {
    const message = `The account stores ${used.bytes} bytes of at most ${quota.bytes}; this file has ${asked.size}`;
    throw appError("storage_full", { message, details: { used: used.bytes, limit: quota.bytes, of: "bytes" } });
  }
}
