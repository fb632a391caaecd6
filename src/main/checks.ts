import { statfs } from "node:fs/promises";
import type { HealthCheck } from "../http/health.ts";
import { projectRoot } from "../platform/root.ts";
import type { Platform } from "./platform.ts";

const MIN_FREE_BYTES = 64n * 1024n * 1024n;

/** The parts a process needs. Postgres is required: without it no call is admitted. */
export function partChecks(platform: Platform): HealthCheck[] {
  const { pool, redis, temporal } = platform;
  return [
    { name: "postgres", required: true, check: async () => void (await pool.query("SELECT 1")) },
    { name: "redis", required: false, check: async () => void (await redis.ping()) },
    { name: "temporal", required: false, check: async () => void (await temporal.ping(1_500)) },
    {
      name: "disk",
      required: false,
      async check() {
        const { bavail, bsize } = await statfs(projectRoot, { bigint: true });
        if (bavail * bsize < MIN_FREE_BYTES) throw new Error("less than 64 MB free");
      },
    },
  ];
}
