import { createHash, randomBytes } from "node:crypto";
import { createFiles, type FileDeps, type Files, type FileSettings } from "../../../src/files/index.ts";
import { AppError } from "../../../src/platform/errors.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createPool, type Pool } from "../../../src/platform/postgres.ts";
import { createStorage, type Storage, type StorageOptions } from "../../../src/platform/storage/index.ts";
import type { Limits } from "../../../src/quotas/index.ts";
import { freshBucket } from "../../support/s3.ts";
import { silent } from "../../support/usage.ts";

export const MB = 1024 * 1024;
const HOUR = 3_600_000;

const settings: FileSettings = {
  maxSize: { scene: 6 * 1024 * MB, asset: 100 * MB, avatar: MB },
  types: { scene: ["application/*", "text/plain"], asset: ["application/*", "image/*"], avatar: ["image/png", "image/jpeg"] },
  partSize: 5 * MB,
  urlTtlMs: HOUR,
  uploadTtlMs: 24 * HOUR,
  againMs: HOUR,
  orphanAgeMs: HOUR,
  patienceMs: 300,
  quota: { bytes: 100 * 1024 * MB, files: 10_000 },
};

export interface Declaration {
  name?: string;
  kind?: "scene" | "asset" | "avatar";
  contentType?: string;
  size?: number;
  sha256?: string;
}

export interface FileRig {
  pool: Pool;
  storage: Storage;
  files: Files;
  /** Ids of files that the worker was asked to read. */
  asked: string[];
  person(): Promise<string>;
  /** The same domain as another process has it, with parts of it replaced. */
  another(change?: Partial<FileDeps> & { with?: Partial<FileSettings>; options?: Partial<StorageOptions> }): Files;
  /** Opens an upload that declares `body`, or what is told. */
  open(ownerId: string, body: Buffer, declared?: Declaration): ReturnType<Files["open"]>;
  /** An upload from its beginning to its end. */
  upload(ownerId: string, body: Buffer, declared?: Declaration): ReturnType<Files["complete"]>;
  /** Keys in the bucket. */
  objects(): Promise<string[]>;
  /** Uploads that are open in the bucket. */
  uploads(): Promise<string[]>;
  /** Makes the time of a file come. */
  due(id: string): Promise<void>;
  states(ownerId: string): Promise<string[]>;
  close(): Promise<void>;
}

export const sha256 = (body: Buffer): string => createHash("sha256").update(body).digest("hex");
export const bytes = (size: number): Buffer => randomBytes(size);

/** PUT as a client does it. */
export async function put(
  url: string,
  body: Buffer | string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const response = await fetch(url, { method: "PUT", body, headers });
  return { status: response.status, text: await response.text() };
}

/** Sends all of an upload, each part to its URL. */
export async function send(view: Awaited<ReturnType<Files["open"]>>, body: Buffer): Promise<void> {
  const { single, parts = [], file } = view;
  const puts = single
    ? [put(single.url, body, single.headers)]
    : parts.map(({ number, url }) => put(url, slice(body, number, file.partSize!)));
  for (const { status, text } of await Promise.all(puts)) if (status !== 200) throw new Error(`PUT: ${status} ${text}`);
}

export const slice = (body: Buffer, number: number, size: number): Buffer => body.subarray((number - 1) * size, number * size);

/** The code of the error that `work` ends with, or "done". */
export const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: unknown) => {
      if (error instanceof AppError) return error.code;
      throw error;
    },
  );

export async function fileRig(places: { databaseUrl: string }): Promise<FileRig> {
  const pool = createPool({ url: places.databaseUrl, max: 20, name: "test", log: silent });
  const bucket = await freshBucket();
  const storage = createStorage(bucket);
  const asked: string[] = [];
  const limits = async (): Promise<Limits> => ({});
  const deps: FileDeps = { pool, storage, settings, limitsOf: limits, startCheck: async (id) => void asked.push(id), log: silent };
  const files = createFiles(deps);
  const declare = (body: Buffer, declared: Declaration) => ({
    name: "scene.blend",
    kind: "scene" as const,
    contentType: "application/x-blender",
    size: body.length,
    ...declared,
  });
  const open: FileRig["open"] = (ownerId, body, declared = {}) => files.open(ownerId, declare(body, declared));
  return {
    pool,
    storage,
    files,
    asked,
    open,
    another: ({ with: changed, options, ...change } = {}) =>
      createFiles({
        ...deps,
        ...(options ? { storage: createStorage({ ...bucket, ...options }) } : {}),
        ...change,
        settings: { ...settings, ...changed },
      }),
    async person() {
      const id = uuidv7();
      await pool.query(
        "INSERT INTO users (id, email, username, email_verified, wallet_id) VALUES ($1, $2, $3, true, ledger_open_wallet('user', $1))",
        [id, `${id}@example.com`, id.slice(-12)],
      );
      return id;
    },
    async upload(ownerId, body, declared = {}) {
      const view = await open(ownerId, body, declared);
      await send(view, body);
      return files.complete(ownerId, view.file.id);
    },
    objects: async () => (await storage.objects.list("users/", undefined)).map(({ key }) => key),
    uploads: async () => (await storage.uploads.unfinished("users/")).map(({ key }) => key),
    async due(id) {
      await pool.query("UPDATE files SET due_at = now() - interval '1 second' WHERE id = $1", [id]);
    },
    async states(ownerId) {
      const { rows } = await pool.query<{ state: string }>("SELECT state FROM files WHERE owner_id = $1 ORDER BY id", [ownerId]);
      return rows.map(({ state }) => state);
    },
    async close() {
      storage.close();
      await pool.end();
    },
  };
}
