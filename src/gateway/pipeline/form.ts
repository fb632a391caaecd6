import type { IncomingMessage } from "node:http";
import { Busboy, type BusboyInstance } from "@fastify/busboy";
import { refuseBody, tooLarge, type BodyResult } from "./bodyResult.ts";

/** A file of a form, whole in memory. */
export interface FormFile {
  /** The field it came in. */
  field: string;
  name: string;
  type: string;
  data: Buffer;
}

/** A form as it came: names as the client wrote them, such as `image[]`, in order. */
export interface Form {
  fields: readonly (readonly [name: string, value: string])[];
  files: readonly FormFile[];
}

/** What a form may have at most; sizes in bytes. */
export interface FormLimits {
  /** All of it. */
  total: number;
  files: number;
  fileSize: number;
}

const NO_BYTES = Buffer.alloc(0);
const FIELDS = 64;
const FIELD_SIZE = 1024 * 1024;
const HEADER_PAIRS = 32;
const HEADER_SIZE = 16 * 1024;

/**
 * Reads a multipart form. Never rejects; resolves undefined when the client left before the end. A form that ends early or goes beyond a
 * limit is refused whole: nothing of it is passed on.
 */
export function readForm(req: IncomingMessage, limits: FormLimits): Promise<BodyResult | undefined> {
  const refused = (message: string, param: string | null = "body"): BodyResult => refuseBody("validation_failed", message, param);
  if (Number(req.headers["content-length"] ?? 0) > limits.total) return Promise.resolve(tooLarge(limits.total));
  let parser: BusboyInstance;
  try {
    parser = openParser(req, limits);
  } catch {
    return Promise.resolve(refused("body: is not a multipart form with a boundary"));
  }
  return new Promise((resolve) => {
    const fields: [string, string][] = [];
    const files: FormFile[] = [];
    let answered = false;
    const answer = (result: BodyResult | undefined): void => {
      answered = true;
      resolve(result);
    };

    parser.on("field", (name, value, _nameCut, cut) => {
      if (name === undefined) answer(refused("body: has a part without a name"));
      else if (cut) answer(refused(`${name.slice(0, 100)}: must be text of at most ${FIELD_SIZE} bytes`, name.slice(0, 100)));
      else fields.push([name, value]);
    });
    parser.on("file", (field, stream, name, _encoding, type) => {
      const chunks: Buffer[] = [];
      const file: FormFile = { field: field ?? "", name: name ?? "", type, data: NO_BYTES };
      // Here and not at its end, so that files stay in order.
      files.push(file);
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("limit", () => answer(tooLarge(limits.fileSize, "A file")));
      stream.on("error", () => undefined);
      stream.on("end", () => (file.data = Buffer.concat(chunks)));
    });
    parser.on("filesLimit", () => answer(refused(`body: may have at most ${limits.files} files`)));
    parser.on("fieldsLimit", () => answer(refused(`body: may have at most ${FIELDS} fields`)));
    parser.on("partsLimit", () => answer(refused("body: has too many parts")));
    parser.on("error", () => answer(refused("body: is not a whole multipart form")));
    parser.on("finish", () => answer({ ok: true, value: { fields, files } satisfies Form }));

    let length = 0;
    req.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length > limits.total && !answered) answer(tooLarge(limits.total));
      // What is refused is read on and thrown away, or the client would be cut off before it can read why.
      if (!answered) parser.write(chunk);
    });
    req.on("end", () => {
      if (!answered) parser.end();
    });
    req.on("error", () => answer(undefined));
    req.on("close", () => {
      // Also comes after the end, while the last part is still being read.
      if (!req.complete) answer(undefined);
    });
  });
}

function openParser(req: IncomingMessage, limits: FormLimits): BusboyInstance {
  return new Busboy({
    headers: { ...req.headers, "content-type": req.headers["content-type"] ?? "" },
    // Files are kept whole: a stream that asks for a pause would only be told no.
    fileHwm: limits.fileSize + 1,
    limits: {
      fields: FIELDS,
      fieldSize: FIELD_SIZE,
      files: limits.files,
      fileSize: limits.fileSize,
      parts: FIELDS + limits.files,
      headerPairs: HEADER_PAIRS,
      headerSize: HEADER_SIZE,
    },
  });
}
