import type { IncomingMessage } from "node:http";

/** How reading a body ended; `raw` is what was read. */
export type RawBody = { kind: "whole" | "oversized" | "truncated"; raw: Buffer };

const READ_WITHIN_MS = 10_000;

/** Reads a body as it came, at most `limit` bytes of it. */
export async function readBody(req: IncomingMessage, limit: number): Promise<RawBody> {
  const chunks: Buffer[] = [];
  let size = 0;
  const take = (kind: RawBody["kind"]): RawBody => ({ kind, raw: Buffer.concat(chunks).subarray(0, limit) });
  if (Number(req.headers["content-length"]) > limit) return take("oversized");
  const timer = setTimeout(() => req.destroy(), READ_WITHIN_MS);
  try {
    for await (const chunk of req as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) return take("oversized");
    }
  } catch {
    return take("truncated");
  } finally {
    clearTimeout(timer);
  }
  return take(req.complete ? "whole" : "truncated");
}
