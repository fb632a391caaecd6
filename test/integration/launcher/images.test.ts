import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { expect } from "chai";
import { compiledFolder } from "../../../src/main/launcher/node-parts.ts";
import { anyPort } from "../../../src/main/launcher/ports.ts";
import { projectRoot } from "../../../src/platform/root.ts";
import { composeFile, imageEntrypoint } from "../../support/compose.ts";
import { atEnd, freshDatabase, freshNamespace, freshRedis, infra, waitFor } from "../../support/stack.ts";

/** The containers' own commands and health checks, run here without Docker: only addresses and ports are this machine's. */

function local(words: string[]): string[] {
  return words.map((word) => (word.startsWith("dist/") ? path.join(compiledFolder, word.slice("dist/".length)) : word));
}

describe("the images' commands", () => {
  const running: ChildProcess[] = [];
  let env: Record<string, string>;

  before(async () => {
    const [database, redis, namespace, smtp] = await Promise.all([freshDatabase(), freshRedis(), freshNamespace(), anyPort()]);
    env = {
      POSTGRES_PASSWORD: "unused",
      JWT_SECRETS: `k1:${"j".repeat(32)}`,
      HASH_SECRET: "h".repeat(32),
      ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 1).toString("base64")}`,
      ADMIN_PASSWORD: "correct horse battery",
      EPAY_KEY: "0123456789abcdef",
      S3_SECRET_ACCESS_KEY: "0123456789abcdef",
      DATABASE_URL: database,
      REDIS_URL: redis,
      TEMPORAL_ADDRESS: infra().temporalAddress,
      TEMPORAL_NAMESPACE: namespace,
      SMTP_URL: `smtp://127.0.0.1:${smtp}`,
    };
    atEnd(() => running.forEach((child) => child.kill("SIGKILL")));
  });

  for (const name of ["mail", "sandbox", "api", "worker"]) {
    it(`${name} starts, becomes healthy and ends by itself when asked to`, async () => {
      const service = composeFile(env).services[name]!;
      const settings = { ...service.environment, HOST: "127.0.0.1", PORT: String(await anyPort()), DATA_DIR: "" };
      if (name === "mail") Object.assign(settings, { SMTP_PORT: new URL(env["SMTP_URL"]!).port });
      const childEnv = { PATH: process.env["PATH"], ...settings };
      const [file, ...args] = local([...imageEntrypoint(), ...service.command!]);
      const child = spawn(file!, args, { cwd: projectRoot, env: childEnv, stdio: ["ignore", "pipe", "pipe"] });
      running.push(child);
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()));

      const [probe, ...words] = service.healthcheck!.test.slice(1);
      await waitFor(
        () => {
          if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
          return spawnSync(probe!, words, { cwd: projectRoot, env: childEnv }).status === 0;
        },
        { timeoutMs: 30_000, everyMs: 200, message: () => `${name} to become healthy; it said\n${output}` },
      );

      child.kill("SIGTERM");
      const [code] = (await once(child, "exit")) as [number | null];
      expect(code, output).to.equal(0);
    });
  }
});
