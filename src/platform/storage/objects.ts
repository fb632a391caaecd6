import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { asked, inBucket, s3Name, type StorageOptions } from "./client.ts";
import { toBase64 } from "./sums.ts";

/** What S3 says of an object. */
export interface StoredObject {
  size: number;
  contentType: string;
  etag: string;
  /** As S3 writes it, see `isSum`; undefined when it keeps none. */
  checksum: string | undefined;
}

export interface ListedObject {
  key: string;
  changedAt: Date;
}

/** Whole objects. */
export function createObjects(options: StorageOptions, client: S3Client, publicClient: S3Client) {
  const { bucket: Bucket } = options;

  return {
    /** Undefined when there is none. */
    async head(key: string): Promise<StoredObject | undefined> {
      try {
        const found = await asked(() =>
          client.send(new HeadObjectCommand({ Bucket, Key: key, ...(options.checksums ? { ChecksumMode: "ENABLED" as const } : {}) })),
        );
        return {
          size: found.ContentLength ?? 0,
          contentType: found.ContentType ?? "",
          etag: found.ETag ?? "",
          checksum: found.ChecksumSHA256,
        };
      } catch (error) {
        if (s3Name(error) === "NoSuchKey") return undefined;
        throw error;
      }
    },

    /** The bytes of an object, the first `bytes` of them when told, as long as it is this version; else undefined. */
    async read(key: string, etag: string, { signal, bytes }: { signal?: AbortSignal; bytes?: number } = {}): Promise<Readable | undefined> {
      const range = bytes === undefined ? {} : { Range: `bytes=0-${bytes - 1}` };
      try {
        const answer = await asked(() =>
          client.send(new GetObjectCommand({ Bucket, Key: key, IfMatch: etag, ...range }), signal ? { abortSignal: signal } : {}),
        );
        return answer.Body as Readable;
      } catch (error) {
        if (["NoSuchKey", "PreconditionFailed"].includes(s3Name(error) ?? "")) return undefined;
        throw error;
      }
    },

    /** Stores `size` bytes of a file. S3 refuses them when they do not have this sha256 (hexadecimal), if it knows checksums. */
    async put(key: string, file: { path: string; size: number; sha256: string; contentType: string }): Promise<void> {
      const send = () =>
        client.send(
          new PutObjectCommand({
            Bucket,
            Key: key,
            Body: createReadStream(file.path, { end: file.size - 1 }),
            ContentLength: file.size,
            ContentType: file.contentType,
            ...(options.checksums ? { ChecksumSHA256: toBase64(file.sha256) } : {}),
          }),
        );
      await inBucket(client, options, send);
    },

    /** Stores an object of no bytes. */
    async putEmpty(key: string, contentType: string): Promise<void> {
      await inBucket(client, options, () =>
        client.send(new PutObjectCommand({ Bucket, Key: key, Body: "", ContentLength: 0, ContentType: contentType })),
      );
    },

    /** A URL that answers GET, and any range of it, for `ttlMs` under these headers. */
    presignGet(key: string, answer: { contentType: string; disposition: string; ttlMs: number }): Promise<string> {
      const command = new GetObjectCommand({
        Bucket,
        Key: key,
        ResponseContentType: answer.contentType,
        ResponseContentDisposition: answer.disposition,
      });
      return getSignedUrl(publicClient, command, { expiresIn: Math.floor(answer.ttlMs / 1_000) });
    },

    /** Nothing happens when there is none. */
    async remove(key: string): Promise<void> {
      try {
        await asked(() => client.send(new DeleteObjectCommand({ Bucket, Key: key })));
      } catch (error) {
        if (s3Name(error) !== "NoSuchKey") throw error;
      }
    },

    /** A page of at most a thousand objects below `prefix`, in the order of their keys, that come after a key. */
    async list(prefix: string, after: string | undefined): Promise<ListedObject[]> {
      const page = await inBucket(client, options, () =>
        client.send(new ListObjectsV2Command({ Bucket, Prefix: prefix, ...(after ? { StartAfter: after } : {}) })),
      );
      return (page.Contents ?? []).map((found) => ({ key: found.Key!, changedAt: found.LastModified ?? new Date() }));
    },
  };
}
