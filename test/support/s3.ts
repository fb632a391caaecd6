import path from "node:path";
import { type Stack, startStack } from "../../src/main/launcher/stack.ts";
import type { StorageOptions } from "../../src/platform/storage/index.ts";
import { atEnd } from "./cleanup.ts";
import { infraS3, runFolder, testEnvironment } from "./infra.ts";

let started: Promise<Stack> | undefined;
let buckets = 0;

/** The run's S3 server; started by the first test that asks when the other servers were there before the run. */
export async function s3Server(): Promise<Stack> {
  const running = infraS3();
  if (running) return running;
  started ??= startStack({ dataDir: path.join(runFolder(), "s3"), parts: ["s3"], env: testEnvironment() }).then((stack) => {
    atEnd(() => stack.destroy());
    if (!stack.endpoints.s3) throw new Error("an S3 server could not be had: run npm start once and read what it says");
    return stack;
  });
  return started;
}

/** A bucket of its own on that server, made when the first object comes. */
export async function freshBucket(): Promise<StorageOptions> {
  const { endpoints } = await s3Server();
  return {
    endpoint: endpoints.s3!,
    region: "us-east-1",
    bucket: `test-${process.pid}-${++buckets}`,
    accessKeyId: endpoints.s3_keys.access_key,
    secretAccessKey: endpoints.s3_keys.secret_key,
    pathStyle: true,
    checksums: true,
    createBucket: true,
  };
}
