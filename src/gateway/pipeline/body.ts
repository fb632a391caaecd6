import type { IncomingMessage } from "node:http";
import { refuseBody, tooLarge, type BodyResult } from "./bodyResult.ts";
import { readForm } from "./form.ts";
import type { Format } from "./format.ts";

/** Whether the body comes as a form. */
export const isForm = (req: IncomingMessage): boolean => /^multipart\//i.test(req.headers["content-type"] ?? "");

const isEncoded = ({ headers }: IncomingMessage): boolean => (headers["content-encoding"] ?? "identity") !== "identity";

/** Reads the body of a request in the way its format wants it. See {@link readJson} and {@link readForm}. */
export function readBody(req: IncomingMessage, format: Pick<Format, "body" | "files">, limit: number): Promise<BodyResult | undefined> {
  if (format.body === "none") return Promise.resolve({ ok: true, value: undefined });
  if (format.body === "json" || (format.body === "either" && !isForm(req))) return readJson(req, limit);
  if (!isForm(req)) return Promise.resolve(refuseBody("unsupported_media_type", "Send a multipart form"));
  if (isEncoded(req)) return Promise.resolve(refuseBody("unsupported_media_type", "Send the body without compression"));
  return readForm(req, { total: limit, files: 1, fileSize: limit, ...format.files });
}

/** Reads and parses a JSON body of at most `limit` bytes. Never rejects; resolves undefined when the client left before the end. */
function readJson(req: IncomingMessage, limit: number): Promise<BodyResult | undefined> {
  const type = req.headers["content-type"];
  if (type !== undefined && !/[/+]json\b/i.test(type)) return Promise.resolve(refuseBody("unsupported_media_type", "Send JSON"));
  if (isEncoded(req)) return Promise.resolve(refuseBody("unsupported_media_type", "Send the body without compression"));
  if (Number(req.headers["content-length"] ?? 0) > limit) return Promise.resolve(tooLarge(limit));
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    req.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= limit) chunks.push(chunk);
      else {
        // Read on and thrown away, or the client would be cut off before it can read why.
        chunks.length = 0;
        resolve(tooLarge(limit));
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
    return refuseBody("validation_failed", "body: is not valid JSON", "body");
  }
}
