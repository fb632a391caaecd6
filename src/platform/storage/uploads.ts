import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { asked, inBucket, s3Name, type StorageOptions } from "./client.ts";
import { toBase64, toHex } from "./sums.ts";

/** An upload that S3 keeps open until it is completed or aborted. */
export interface Upload {
  key: string;
  uploadId: string;
}

/** A part as S3 has it. */
export interface StoredPart {
  number: number;
  size: number;
  etag: string;
  /** Hexadecimal; only of a part that was sent with its checksum. */
  sha256: string | undefined;
}

export interface UnfinishedUpload extends Upload {
  startedAt: Date;
}

const CHECKSUM_HEADER = "x-amz-checksum-sha256";

/**
 * Uploads in parts, one part included: after it was completed or aborted nobody can write with its URLs any more, while a presigned PUT
 * of a whole object could replace it until it expires.
 */
export function createUploads(options: StorageOptions, client: S3Client, publicClient: S3Client) {
  const { bucket: Bucket } = options;

  return {
    /** Opens an upload; `checked` when its only part will bring its sha256. Not idempotent. */
    async open(key: string, contentType: string, checked: boolean): Promise<Upload> {
      const open = () =>
        client.send(
          new CreateMultipartUploadCommand({
            Bucket,
            Key: key,
            ContentType: contentType,
            ...(checked ? { ChecksumAlgorithm: "SHA256" as const } : {}),
          }),
        );
      const made = await inBucket(client, options, open);
      return { key, uploadId: made.UploadId! };
    },

    /**
     * A URL to PUT a part of exactly `size` bytes to, for `ttlMs`, and the headers that must go with it: S3 refuses another size, another
     * type and, with `sha256` (hexadecimal), other bytes.
     */
    async presignPart(
      upload: Upload,
      part: { number: number; size: number; contentType?: string; sha256?: string | undefined; ttlMs: number },
    ): Promise<{ url: string; headers: Record<string, string> }> {
      const headers: Record<string, string> = {
        ...(part.contentType ? { "content-type": part.contentType } : {}),
        ...(part.sha256 ? { [CHECKSUM_HEADER]: toBase64(part.sha256) } : {}),
      };
      const command = new UploadPartCommand({
        Bucket,
        Key: upload.key,
        UploadId: upload.uploadId,
        PartNumber: part.number,
        ContentLength: part.size,
      });
      command.middlewareStack.add(
        (next) => (args) => {
          Object.assign((args.request as { headers: object }).headers, headers);
          return next(args);
        },
        { step: "build", name: "signedHeaders" },
      );
      const names = new Set(["host", "content-length", ...Object.keys(headers)]);
      const url = await getSignedUrl(publicClient, command, {
        expiresIn: Math.floor(part.ttlMs / 1_000),
        signableHeaders: names,
        unhoistableHeaders: names,
      });
      return { url, headers };
    },

    /** The parts that arrived, by number; undefined when there is no such upload (completed, aborted, never opened). */
    async parts(upload: Upload): Promise<StoredPart[] | undefined> {
      const found: StoredPart[] = [];
      let marker: string | undefined;
      try {
        do {
          const page = await asked(() =>
            client.send(
              new ListPartsCommand({ Bucket, Key: upload.key, UploadId: upload.uploadId, ...(marker ? { PartNumberMarker: marker } : {}) }),
            ),
          );
          for (const part of page.Parts ?? [])
            found.push({ number: part.PartNumber!, size: part.Size ?? 0, etag: part.ETag!, sha256: toHex(part.ChecksumSHA256) });
          marker = page.IsTruncated ? page.NextPartNumberMarker : undefined;
        } while (marker);
      } catch (error) {
        if (s3Name(error) === "NoSuchUpload") return undefined;
        throw error;
      }
      return found;
    },

    /**
     * Makes the object of its parts. `gone`: there is no such upload, because another call completed it or it was aborted. `changed`: one of
     * the parts is another one by now, or going.
     */
    async complete(upload: Upload, parts: readonly StoredPart[]): Promise<"done" | "gone" | "changed"> {
      try {
        await asked(() =>
          client.send(
            new CompleteMultipartUploadCommand({
              Bucket,
              Key: upload.key,
              UploadId: upload.uploadId,
              MultipartUpload: {
                Parts: parts.map(({ number, etag, sha256 }) => ({
                  PartNumber: number,
                  ETag: etag,
                  ...(sha256 ? { ChecksumSHA256: toBase64(sha256) } : {}),
                })),
              },
            }),
          ),
        );
        return "done";
      } catch (error) {
        if (s3Name(error) === "NoSuchUpload") return "gone";
        if (s3Name(error) === "InvalidPart") return "changed";
        throw error;
      }
    },

    /** Ends an upload and frees its parts; nothing happens when there is none. */
    async abort(upload: Upload): Promise<void> {
      try {
        await asked(() => client.send(new AbortMultipartUploadCommand({ Bucket, Key: upload.key, UploadId: upload.uploadId })));
      } catch (error) {
        if (s3Name(error) !== "NoSuchUpload") throw error;
      }
    },

    /** Uploads below `prefix` that are neither completed nor aborted, at most a thousand. */
    async unfinished(prefix: string): Promise<UnfinishedUpload[]> {
      const page = await inBucket(client, options, () => client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix })));
      return (page.Uploads ?? []).map((upload) => ({
        key: upload.Key!,
        uploadId: upload.UploadId!,
        startedAt: upload.Initiated ?? new Date(),
      }));
    },
  };
}
