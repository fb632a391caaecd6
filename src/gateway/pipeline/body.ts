import type { IncomingMessage } from "node:http";
import { failure, type Failure } from "./failure.ts";

type BodyResult = { ok: true; value: unknown } | { ok: false; failure: Failure };

const refuse = (
  code: "validation_failed" | "payload_too_large" | "unsupported_media_type",
  message: string,
  param: string | null = null,
): BodyResult => ({
  ok: false,
  failure: failure(code, { message, param }),
});

/** Reads and parses a JSON body of at most `limit` bytes. Never rejects; resolves undefined when the client left before the end. */
export function readJson(req: IncomingMessage, limit: number): Promise<BodyResult | undefined> {
  const type = req.headers["content-type"];
  if (type !== undefined && !/[/+]json\b/i.test(type)) return Promise.resolve(refuse("unsupported_media_type", "Send JSON"));
  const encoding = req.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity")
    return Promise.resolve(refuse("unsupported_media_type", "Send the body without compression"));
  const tooLarge = refuse("payload_too_large", `The request may have at most ${Math.floor(limit / 1024 / 1024)} MB`);
  if (Number(req.headers["content-length"] ?? 0) > limit) return Promise.resolve(tooLarge);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    req.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= limit) chunks.push(chunk);
      else {
        // Read on and thrown away, or the client would be cut off before it can read why.
        chunks.length = 0;
        resolve(tooLarge);
      }
    });
    req.on("end", () => resolve(parse(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks))));
    req.on("error", () => resolve(undefined));
    req.on("close", () => resolve(undefined));
  });
}

function parse(bytes: Buffer): BodyResult {
  try {
    return { ok: true, value: JSON.parse(bytes.toString("utf8")) };
  } catch {
    return refuse("validation_failed", "body: is not valid JSON", "body");
  }
}
