import { z } from "zod";
import { isoTime, pageOf, pageQuery, uuid } from "../http/schemas.ts";
import { FILE_KINDS, FILE_STATES, UPLOAD_KINDS } from "./types.ts";

const MOST_BYTES = 5 * 1024 ** 4;
const bytes = z.number().int().min(0);

export const uploadBody = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(2_000)
    .meta({ description: "Any script, at most 255 characters; no path", examples: ["spaceship.blend"] }),
  size: bytes.max(MOST_BYTES).meta({ description: "Bytes, exactly", examples: [1_048_576] }),
  content_type: z
    .string()
    .toLowerCase()
    .max(127)
    .regex(/^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/, "must be a type such as image/png, without parameters")
    .meta({ examples: ["application/x-blender"] }),
  kind: z.enum(UPLOAD_KINDS),
  sha256: z
    .string()
    .toLowerCase()
    .regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits")
    .optional()
    .meta({ description: "Of all bytes; the file is ready only when they have it" }),
});

export const completeBody = z.strictObject({
  parts: z
    .array(z.strictObject({ number: z.number().int().min(1).max(10_000), etag: z.string().min(1).max(200).optional() }))
    .max(10_000)
    .optional()
    .meta({ description: "What was sent, to be compared with what arrived; may be left out" }),
});

export const fileParams = z.strictObject({ id: uuid });
export const downloadQuery = z.strictObject({
  disposition: z
    .enum(["attachment", "inline"])
    .default("attachment")
    .meta({ description: "inline: pictures, films and plain text are shown by a browser; everything else is saved" }),
});
export const listQuery = z.strictObject({
  ...pageQuery,
  kind: z.enum(FILE_KINDS).optional(),
  status: z.enum(FILE_STATES).optional(),
  task_id: uuid.optional(),
});

export const fileView = z.object({
  id: uuid,
  name: z.string(),
  kind: z.enum(FILE_KINDS),
  content_type: z.string(),
  size: bytes,
  sha256: z.string().nullable(),
  status: z.enum(FILE_STATES).meta({ description: "checking: all bytes are there, and their sha256 is being read" }),
  reason: z.string().nullable().meta({ description: "Why it was rejected" }),
  task_id: uuid.nullable().meta({ description: "The task that made it" }),
  created_at: isoTime,
  ready_at: isoTime.nullable(),
  upload_expires_at: isoTime.nullable().meta({ description: "An upload that is not complete by then is removed" }),
});
export const filePage = pageOf(fileView);

const url = z.string();
const opened = {
  file_id: uuid,
  method: z.literal("PUT"),
  urls_expire_at: isoTime,
  upload_expires_at: isoTime,
  upload_url: url.optional().meta({ description: "Where the whole file goes, with exactly these `headers`" }),
  headers: z.record(z.string(), z.string()).optional(),
  part_size: bytes.optional().meta({ description: "Bytes of each part but the last" }),
  parts: z
    .array(z.object({ number: z.number().int(), url }))
    .optional()
    .meta({ description: "Of a larger file: where each missing part goes" }),
};
export const openedView = z.object(opened);
export const uploadView = z.object({
  ...opened,
  status: z.enum(FILE_STATES),
  uploaded: z.array(z.object({ number: z.number().int(), size: bytes, etag: z.string() })).meta({ description: "Parts that arrived" }),
  upload_expires_at: isoTime.nullable(),
});
export const downloadView = z.object({ url, expires_at: isoTime });
export const existsView = z.object({ exists: z.boolean(), status: z.enum(FILE_STATES) });
export const usageView = z.object({
  bytes: z.object({ used: bytes, limit: bytes }),
  files: z.object({ used: bytes, limit: bytes }),
});
