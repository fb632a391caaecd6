import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { lstat, rm } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { uniqueViolation } from "../platform/postgres.ts";
import { measure } from "./check.ts";
import { type FileDeps, storageOf } from "./deps.ts";
import { newPlace } from "./layout.ts";
import { removeFile } from "./remove.ts";
import { findStored, insertFile, markWhole } from "./repository.ts";
import type { FileRecord, ResultKind } from "./types.ts";

/** Something a task made. */
export interface Result {
  ownerId: string;
  kind: ResultKind;
  name: string;
  contentType: string;
  /** An ordinary file; links are refused. */
  fromPath: string;
  taskId: string;
  /** What makes it one: the same key gives the same file. */
  key: string;
}

/** A file whose bytes are not those that were checked, or are gone. */
export class FileDamaged extends Error {
  constructor(id: string, problem: string) {
    super(`file ${id}: ${problem}`);
    this.name = "FileDamaged";
  }
}

/** How long a process may take to store one result before the sweep takes it for dead. */
const STORE_MS = 3_600_000;

/**
 * Keeps what a task made. The first call that is done with a key decides; every other one, at once or later, gets that file, whatever its
 * own bytes. Each call writes to a place of its own, so that no ready file is ever written again. No quota: what was rendered is kept.
 */
export async function storeResult(deps: FileDeps, result: Result): Promise<FileRecord> {
  const { pool, settings } = deps;
  const { objects } = storageOf(deps);
  const { ownerId, kind, name, contentType, taskId, key: storeKey } = result;
  const ready = await stored(deps, result);
  if (ready) return ready;
  const { size, sha256 } = await measured(result.fromPath);
  const place = newPlace(ownerId, kind, name);
  const file = await insertFile(pool, {
    ...place,
    ownerId,
    kind,
    name,
    contentType,
    size,
    sha256,
    taskId,
    storeKey,
    dueMs: Math.max(STORE_MS, settings.againMs),
  });
  try {
    if (size === 0) await objects.putEmpty(file.objectKey, contentType);
    else await objects.put(file.objectKey, { path: result.fromPath, size, sha256, contentType });
    const object = await objects.head(file.objectKey);
    if (object?.size !== size) throw new FileDamaged(file.id, `${size} bytes were sent, ${object?.size ?? 0} arrived`);
    const marked = await markWhole(pool, file.id, { from: "uploading", to: "ready", etag: object.etag });
    // Its task was removed meanwhile.
    if (!marked) throw new FileDamaged(file.id, "was removed while it was stored");
    return marked;
  } catch (error) {
    await removeFile(deps, ownerId, file.id).catch(() => undefined);
    const winner = uniqueViolation(error) === "files_stored" ? await stored(deps, result) : undefined;
    if (!winner) throw error;
    return winner;
  }
}

async function stored(deps: FileDeps, { key, ownerId }: Result): Promise<FileRecord | undefined> {
  const file = await findStored(deps.pool, key);
  if (file && file.ownerId !== ownerId) throw new Error(`${key} is stored for somebody else`);
  return file;
}

async function measured(path: string): Promise<{ size: number; sha256: string }> {
  const found = await lstat(path);
  if (!found.isFile()) throw new Error(`${path} is not an ordinary file`);
  return measure(createReadStream(path), Number.MAX_SAFE_INTEGER, () => undefined);
}

/**
 * Writes the bytes of a ready file to a new file at `toPath`. Throws {@link FileDamaged}, leaving nothing there, when they are not those
 * that were checked; writes no byte more than the file has.
 */
export async function fetchFile(deps: FileDeps, file: FileRecord, toPath: string, signal?: AbortSignal): Promise<void> {
  const body = await storageOf(deps).objects.read(file.objectKey, file.etag!, signal ? { signal } : {});
  if (!body) throw new FileDamaged(file.id, "its bytes are gone or were replaced");
  const hash = createHash("sha256");
  let size = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      hash.update(chunk);
      done(size > file.size ? new FileDamaged(file.id, "has more bytes than it should") : null, chunk);
    },
  });
  try {
    await pipeline(body, counted, createWriteStream(toPath, { flags: "wx", mode: 0o600 }), signal ? { signal } : {});
    if (size !== file.size) throw new FileDamaged(file.id, `has ${size} bytes in place of ${file.size}`);
    if (file.sha256 !== null && hash.digest("hex") !== file.sha256) throw new FileDamaged(file.id, "has another sha256 than it should");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") await rm(toPath, { force: true });
    throw error;
  }
}
