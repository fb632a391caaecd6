import { mkdirSync } from "node:fs";
import path from "node:path";
import type { Part } from "./part.ts";
import { httpStatus } from "./probes.ts";
import { createProcessPart } from "./process-part.ts";
import type { Reporter } from "./report.ts";
import { findS3Server } from "./s3-binary.ts";

export interface S3Options {
  dataDir: string;
  port: number;
  accessKey: string;
  secretKey: string;
  env: NodeJS.ProcessEnv;
  report: Reporter;
}

const HEALTH = "/healthz";
/** Browsers upload from the address of whatever page they show. */
const GLOBAL = ["--health", HEALTH, "--cors-allow-origin", "*", "--quiet"];

/** An S3 server on 127.0.0.1 that keeps objects as files in a folder. Finding it may build it. */
export async function createS3Server(options: S3Options): Promise<{ part: Part; url: string }> {
  const binary = await findS3Server(options.env, options.report);
  const url = `http://127.0.0.1:${options.port}`;
  const folder = (name: string) => path.join(options.dataDir, "s3", name);
  for (const name of ["objects", "details"]) mkdirSync(folder(name), { recursive: true, mode: 0o700 });
  const part = createProcessPart(
    {
      name: "s3",
      address: url,
      command: () => ({
        file: binary,
        // Details beside the objects: not every file system has extended attributes.
        args: [...GLOBAL, "--port", `127.0.0.1:${options.port}`, "posix", "--sidecar", folder("details"), folder("objects")],
        env: { ...withoutOwn(options.env), ROOT_ACCESS_KEY_ID: options.accessKey, ROOT_SECRET_ACCESS_KEY: options.secretKey },
        cwd: folder("objects"),
      }),
      ready: async () => (await httpStatus(`${url}${HEALTH}`, 2_000)) === 200,
      graceMs: 10_000,
    },
    options,
  );
  return { part, url };
}

/** Settings for another such server, and event sinks with common names, must not reach this one. */
function withoutOwn(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(VGW_|ROOT_|LOGFILE$|WEBHOOK$)/.test(name)));
}
