import type { FileRecord } from "./types.ts";
import type { UploadView } from "./uploads.ts";

/** A file as its owner sees it. Where its bytes are is nobody's business. */
export const viewOfFile = (file: FileRecord) => ({
  id: file.id,
  name: file.name,
  kind: file.kind,
  content_type: file.contentType,
  size: file.size,
  sha256: file.sha256,
  status: file.state,
  reason: file.reason,
  task_id: file.taskId,
  created_at: file.createdAt.toISOString(),
  ready_at: file.readyAt?.toISOString() ?? null,
  upload_expires_at: file.state === "uploading" ? (file.dueAt?.toISOString() ?? null) : null,
});

/** Where the bytes of an upload go. */
export const viewOfUpload = ({ file, single, parts, urlsUntil }: UploadView) => ({
  file_id: file.id,
  method: "PUT",
  urls_expire_at: urlsUntil.toISOString(),
  upload_expires_at: file.state === "uploading" ? (file.dueAt?.toISOString() ?? null) : null,
  ...(single ? { upload_url: single.url, headers: single.headers } : {}),
  ...(parts ? { parts, part_size: file.partSize } : {}),
});
