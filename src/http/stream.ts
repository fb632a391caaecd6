import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import type { Request, Response } from "express";

/** A reader who takes nothing for so long has left. */
const IDLE_MS = 60_000;

async function* from(first: IteratorResult<string>, rest: AsyncIterator<string>): AsyncGenerator<string> {
  try {
    for (let next = first; !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/**
 * Sends pieces of text as they are made, no faster than they are read. When the reader leaves or stops reading the source is ended. Rejects
 * when the source fails: before its first piece nothing was sent; later the answer is cut off, so that no part is taken for the whole.
 */
export async function sendStream(
  req: Request,
  res: Response,
  reply: { status: number; headers: Record<string, string>; stream: AsyncIterable<string> },
): Promise<void> {
  const source = reply.stream[Symbol.asyncIterator]();
  const first = await source.next();
  res.status(reply.status).set(reply.headers);
  if (req.method === "HEAD" || res.destroyed) {
    await source.return?.();
    res.end();
    return;
  }
  res.setTimeout(IDLE_MS, () => res.destroy());
  try {
    await pipeline(Readable.from(from(first, source)), res);
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  }
}
