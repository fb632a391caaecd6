/** Kinds that people upload. */
export const UPLOAD_KINDS = ["scene", "asset", "avatar"] as const;
export type UploadKind = (typeof UPLOAD_KINDS)[number];
/** Kinds that tasks make. */
export const RESULT_KINDS = ["frame", "video", "log"] as const;
export type ResultKind = (typeof RESULT_KINDS)[number];
export const FILE_KINDS = [...UPLOAD_KINDS, ...RESULT_KINDS] as const;
export type FileKind = (typeof FILE_KINDS)[number];

/** What an owner sees of a file's life; `removing` ones are seen by nobody. */
export const FILE_STATES = ["uploading", "checking", "ready", "rejected"] as const;
export type FileState = (typeof FILE_STATES)[number] | "removing";

export interface FileRecord {
  id: string;
  ownerId: string;
  kind: FileKind;
  /** As its owner called it. */
  name: string;
  contentType: string;
  /** Bytes. */
  size: number;
  /** Hexadecimal; null when nobody said it. */
  sha256: string | null;
  /** Where its bytes are in the bucket. */
  objectKey: string;
  state: FileState;
  uploadId: string | null;
  /** Bytes of each part but the last. */
  partSize: number | null;
  /** The version of the object that was checked. */
  etag: string | null;
  /** Why it was rejected. */
  reason: string | null;
  taskId: string | null;
  createdAt: Date;
  readyAt: Date | null;
  dueAt: Date | null;
}

export interface FileSettings {
  /** Bytes. */
  maxSize: Record<UploadKind, number>;
  /** Content types of each kind, `image/*` for all of a sort. */
  types: Record<UploadKind, readonly string[]>;
  /** Bytes; larger files are uploaded in parts. */
  partSize: number;
  /** Life of a presigned URL. */
  urlTtlMs: number;
  uploadTtlMs: number;
  /** After this what is deleted is deleted once more. */
  againMs: number;
  orphanAgeMs: number;
  /** How long a completion waits for another one of the same upload, and for a short check. */
  patienceMs: number;
  /** For accounts whose limits do not say. */
  quota: StorageQuota;
}

export interface StorageQuota {
  bytes: number;
  files: number;
}
