import { mkdirSync } from "node:fs";
import path from "node:path";
import type { Part } from "./part.ts";
import { ask } from "./probes.ts";
import { createProcessPart } from "./process-part.ts";
import { findRedis } from "./redis-binary.ts";
import type { Reporter } from "./report.ts";

export interface RedisOptions {
  dataDir: string;
  port: number;
  env: NodeJS.ProcessEnv;
  report: Reporter;
  /** Numbered databases; tests take one each. */
  databases?: number;
}

/** A Redis (or Valkey) on 127.0.0.1 that appends every write to a file. Finding it may install a package. */
export async function createRedisServer(options: RedisOptions): Promise<{ part: Part; url: string }> {
  const binary = await findRedis(options.env, options.report);
  const folder = path.join(options.dataDir, "redis");
  mkdirSync(folder, { recursive: true });
  const settings: Record<string, string> = {
    bind: "127.0.0.1",
    port: String(options.port),
    dir: folder,
    appendonly: "yes",
    save: "",
    databases: String(options.databases ?? 16),
    // bullmq loses jobs under any other policy.
    "maxmemory-policy": "noeviction",
  };
  const part = createProcessPart(
    {
      name: "redis",
      address: `127.0.0.1:${options.port}`,
      command: () => ({ file: binary, args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]), cwd: folder }),
      ready: async () => (await ask("127.0.0.1", options.port, "PING\r\n")).startsWith("+PONG"),
      graceMs: 10_000,
    },
    options,
  );
  return { part, url: `redis://127.0.0.1:${options.port}/0` };
}
