import { createClient, type StorageOptions } from "./client.ts";
import { createObjects } from "./objects.ts";
import { createUploads } from "./uploads.ts";

export type { StorageOptions } from "./client.ts";
export { isSum } from "./sums.ts";
export type { StoredPart, Upload } from "./uploads.ts";

/**
 * An S3 server: objects, uploads in parts and presigned URLs, in one bucket. Whatever means that it cannot be used is thrown as
 * `unavailable`. Opens no connection until the first request.
 */
export function createStorage(options: StorageOptions) {
  const client = createClient(options, options.endpoint);
  const publicClient = options.publicEndpoint ? createClient(options, options.publicEndpoint) : client;
  return {
    checksums: options.checksums,
    uploads: createUploads(options, client, publicClient),
    objects: createObjects(options, client, publicClient),
    close(): void {
      client.destroy();
      publicClient.destroy();
    },
  };
}

export type Storage = ReturnType<typeof createStorage>;
