import type { Limits } from "../quotas/index.ts";
import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import type { Storage } from "../platform/storage/index.ts";
import { appError } from "../platform/errors.ts";
import type { FileSettings } from "./types.ts";

/** What everything in this domain works with. */
export interface FileDeps {
  pool: Pool;
  /** Undefined without an S3 server. */
  storage: Storage | undefined;
  settings: FileSettings;
  /** What an account's tier, plan and own limits come to. */
  limitsOf: (userId: string) => Promise<Limits>;
  /** Has the worker read a file, soon or, when Temporal is away, later. */
  startCheck: (fileId: string, ownerId: string) => Promise<void>;
  log: Logger;
}

/** Throws `unavailable` without an S3 server. */
export function storageOf({ storage }: Pick<FileDeps, "storage">): Storage {
  if (!storage) throw appError("unavailable", { message: "There is no file storage here" });
  return storage;
}
