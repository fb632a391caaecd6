import type { Config } from "../config/index.ts";
import { createFiles, createStartCheck, type FileSettings, type Files } from "../files/index.ts";
import type { Identity } from "../identity/index.ts";
import { createStorage, type Storage, type StorageOptions } from "../platform/storage/index.ts";
import { BILLING_QUEUE } from "../usage/index.ts";
import type { Platform } from "./platform.ts";

const MB = 1024 * 1024;
const PATIENCE_MS = 4_000;

/** Where files are kept: S3_…, else OSS_…; undefined when neither is set. */
export function storageOptions(config: Config): StorageOptions | undefined {
  const common = { region: config.S3_REGION, publicEndpoint: config.S3_PUBLIC_ENDPOINT, createBucket: config.S3_CREATE_BUCKET };
  if (config.S3_ENDPOINT) {
    return {
      ...common,
      endpoint: config.S3_ENDPOINT,
      bucket: config.S3_BUCKET,
      accessKeyId: config.S3_ACCESS_KEY_ID!,
      secretAccessKey: config.S3_SECRET_ACCESS_KEY!,
      pathStyle: config.S3_PATH_STYLE,
      checksums: config.S3_CHECKSUMS,
    };
  }
  if (!config.OSS_ENDPOINT) return undefined;
  return {
    ...common,
    endpoint: config.OSS_ENDPOINT,
    bucket: config.OSS_BUCKET!,
    accessKeyId: config.OSS_ACCESS_KEY_ID!,
    secretAccessKey: config.OSS_ACCESS_KEY_SECRET!,
    pathStyle: false,
    checksums: false,
  };
}

export function fileSettings(config: Config): FileSettings {
  const max = config.FILE_MAX_MB * MB;
  return {
    maxSize: { scene: max, asset: max, avatar: config.FILE_AVATAR_MAX_MB * MB },
    types: { scene: config.FILE_SCENE_TYPES, asset: config.FILE_ASSET_TYPES, avatar: config.FILE_AVATAR_TYPES },
    partSize: config.FILE_PART_MB * MB,
    urlTtlMs: config.FILE_URL_TTL,
    uploadTtlMs: config.FILE_UPLOAD_TTL,
    againMs: config.FILE_REMOVED_AGAIN,
    patienceMs: PATIENCE_MS,
    orphanAgeMs: config.FILE_ORPHAN_AGE,
    quota: { bytes: config.FILE_QUOTA_MB * MB, files: config.FILE_QUOTA_COUNT },
  };
}

/** Files as both the api and the worker use them. */
export function createFileServices(
  platform: Platform,
  identity: Pick<Identity, "limitsOf">,
): { files: Files; storage: Storage | undefined } {
  const { config, pool, temporal, log } = platform;
  const options = storageOptions(config);
  const storage = options && createStorage(options);
  const files = createFiles({
    pool,
    storage,
    settings: fileSettings(config),
    limitsOf: identity.limitsOf,
    startCheck: createStartCheck({ temporal: temporal.client, taskQueue: BILLING_QUEUE, log }),
    log,
  });
  return { files, storage };
}
