import type { IncomingMessage } from "node:http";

/** How reading a body ended; `raw` is what was read. */
export type RawBody = { kind: "whole" | "oversized" | "truncated"; raw: Buffer };

const READ_WITHIN_MS = 10_000;

/** Reads a body as it came, at most `limit` bytes of it; the connection stays, so that a sender of too much can be told so. */
export function readBody(req: IncomingMessage, limit: number): Promise<RawBody> {
  if (Number(req.headers["content-length"]) > limit) return Promise.resolve({ kind: "oversized", raw: Buffer.alloc(0) });
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => finish("truncated"), READ_WITHIN_MS);

    function finish(kind: RawBody["kind"]): void {
      clearTimeout(timer);
      req.off("data", take).off("end", end).off("close", broken).off("error", broken);
      req.on("error", () => undefined);
      if (kind !== "whole") req.pause();
      resolve({ kind, raw: Buffer.concat(chunks).subarray(0, limit) });
    }
    function take(chunk: Buffer): void {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) finish("oversized");
    }
    const end = () => finish("whole");
    const broken = () => finish("truncated");
    req.on("data", take).on("end", end).on("close", broken).on("error", broken);
  });
}
