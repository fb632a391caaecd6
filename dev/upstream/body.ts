import type { IncomingMessage } from "node:http";
import { createHash } from "node:crypto";
import type { Upload } from "./endpoint.ts";
import { Refused, refuse } from "./endpoint.ts";

const MAX_BODY = 64 * 1_048_576;

export interface ReadBody {
  fields: Record<string, unknown>;
  files: Upload[];
  /** For the record of calls: JSON as it came, and of files only what they were. */
  told: unknown;
}

export async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY) throw new Refused(413, "The body is too large.");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Reads a JSON or multipart body. Fields named `x[]` are lists, as clients write them. Throws {@link Refused}. */
export async function readBody(request: IncomingMessage): Promise<ReadBody> {
  const bytes = await readBytes(request);
  const type = request.headers["content-type"] ?? "";
  if (/^multipart\/form-data/i.test(type)) return readForm(bytes, type);
  if (bytes.length === 0) return { fields: {}, files: [], told: undefined };
  try {
    const value = JSON.parse(bytes.toString("utf8")) as unknown;
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return { fields: value as Record<string, unknown>, files: [], told: value };
  } catch {
    // Said below.
  }
  return refuse("We could not parse the JSON body of your request.");
}

async function readForm(bytes: Buffer, type: string): Promise<ReadBody> {
  const form = await new Response(new Uint8Array(bytes), { headers: { "content-type": type } })
    .formData()
    .catch(() => refuse("Could not parse multipart form"));
  const fields: Record<string, unknown> = {};
  const files: Upload[] = [];
  for (const [name, value] of form) {
    const field = name.replace(/\[\]$/, "");
    if (typeof value !== "string") files.push({ field, name: value.name, type: value.type, bytes: Buffer.from(await value.arrayBuffer()) });
    else if (field !== name) fields[field] = [...((fields[field] as string[] | undefined) ?? []), value];
    else fields[field] = value;
  }
  return { fields, files, told: { ...fields, files: files.map(describe) } };
}

const describe = ({ field, name, type, bytes }: Upload): object => ({
  field,
  name,
  type,
  bytes: bytes.length,
  sha256: createHash("sha256").update(bytes).digest("hex"),
});
