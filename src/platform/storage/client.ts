import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { appError, type AppError } from "../errors.ts";

/** Where objects are kept and with which key. */
export interface StorageOptions {
  endpoint: string;
  /** The same server as clients reach it; `endpoint` unless told. */
  publicEndpoint?: string | undefined;
  region: string;
  bucket: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** True: the bucket is part of the path; false: of the host name (Alibaba Cloud OSS takes nothing else). */
  pathStyle: boolean;
  /** True when the server keeps and checks x-amz-checksum-sha256. */
  checksums: boolean;
  /** True: a missing bucket is made. */
  createBucket: boolean;
}

const CONNECT_MS = 3_000;
/** Silence on a connection. */
const IDLE_MS = 60_000;

const ignore = (): void => undefined;
/** Without one, it writes to standard output; whatever fails is thrown anyway. */
const QUIET = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** A client for one endpoint. Opens no connection. */
export function createClient(options: StorageOptions, endpoint: string): S3Client {
  // It warns about Node's next versions on standard error, which is for our own lines.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  return new S3Client({
    endpoint,
    region: options.region,
    forcePathStyle: options.pathStyle,
    credentials: { accessKeyId: options.accessKeyId, secretAccessKey: options.secretAccessKey },
    // Other servers than Amazon's refuse what the client would add by itself.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: IDLE_MS },
    maxAttempts: 3,
    logger: QUIET,
  });
}

/** The S3 name of an error, such as "NoSuchUpload"; undefined for one that is not S3's. */
export function s3Name(error: unknown): string | undefined {
  const found = error as { name?: unknown; $metadata?: { httpStatusCode?: number } } | null;
  if (!found?.$metadata) return undefined;
  return found.$metadata.httpStatusCode === 404 && found.name === "NotFound" ? "NoSuchKey" : String(found.name);
}

/** Refusals that say something about one object or upload; everything else means that the server cannot be used. */
const ANSWERS = new Set([
  "NoSuchKey",
  "NoSuchUpload",
  "InvalidPart",
  "InvalidPartOrder",
  "EntityTooSmall",
  "EntityTooLarge",
  "BadDigest",
  "PreconditionFailed",
  "InvalidRange",
]);

/** The error for a server that is away, is overloaded or refuses our key. */
export function unavailable(cause: unknown): AppError {
  return appError("unavailable", { message: "The file storage is not reachable right now", retryAfter: 5, cause });
}

/** Runs one request; what is no answer about an object becomes `unavailable`. An abort stays an abort. */
export async function asked<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if ((error as Error).name === "AbortError" || ANSWERS.has(s3Name(error) ?? "")) throw error;
    throw unavailable(error);
  }
}

/** The same for a request about the bucket, which is made first when it is missing and the options say so. */
export function inBucket<T>(client: S3Client, options: StorageOptions, work: () => Promise<T>): Promise<T> {
  return asked(async () => {
    try {
      return await work();
    } catch (error) {
      if (s3Name(error) !== "NoSuchBucket" || !options.createBucket) throw error;
      await client.send(new CreateBucketCommand({ Bucket: options.bucket })).catch(unlessMade);
      return work();
    }
  });
}

/** Another process may have made it a moment ago. */
function unlessMade(error: unknown): void {
  if (!["BucketAlreadyOwnedByYou", "BucketAlreadyExists"].includes(s3Name(error) ?? "")) throw error;
}
