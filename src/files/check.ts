import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { createQueue } from "../platform/queue.ts";
import { type FileDeps, storageOf } from "./deps.ts";
import { REJECTED_MS } from "./finish.ts";
import { clearSoon } from "./remove.ts";
import { findAny, markRejected, markWhole } from "./repository.ts";
import type { FileState } from "./types.ts";

/** Files that one worker reads at a time, so that reading leaves room for the rest. */
const AT_ONCE = 2;

/** The bytes and sha256 of a stream; stops after `most` bytes. */
export async function measure(body: Readable, most: number, onBytes: (bytes: number) => void): Promise<{ size: number; sha256: string }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > most) break;
    hash.update(chunk);
    onBytes(size);
  }
  return { size, sha256: hash.digest("hex") };
}

/**
 * Reads a file whose sha256 S3 could not tell, at most the bytes it has, and notes whether it is what was declared. Idempotent; returns
 * the state the file has then, undefined when it is gone. Rejects while S3 is away.
 */
export function createCheck(deps: FileDeps) {
  const turn = createQueue(AT_ONCE);

  async function check(id: string, onBytes: (bytes: number) => void, signal?: AbortSignal): Promise<FileState | undefined> {
    const file = await findAny(deps.pool, id);
    if (file?.state !== "checking") return file?.state;
    const body = await storageOf(deps).objects.read(file.objectKey, file.etag!, signal ? { signal } : {});
    const found = body && (await measure(body, file.size, onBytes));
    if (found?.sha256 === file.sha256 && found?.size === file.size) {
      return (await markWhole(deps.pool, id, { from: "checking", to: "ready", etag: file.etag! }))?.state;
    }
    const reason = found ? "The file has another sha256 than was declared" : "The file has gone from the storage";
    const rejected = await markRejected(deps.pool, id, reason, REJECTED_MS);
    if (rejected) await clearSoon(deps, rejected);
    return rejected?.state;
  }

  return (id: string, onBytes: (bytes: number) => void = () => undefined, signal?: AbortSignal) => turn(() => check(id, onBytes, signal));
}

export type Check = ReturnType<typeof createCheck>;
