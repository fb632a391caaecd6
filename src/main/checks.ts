import { randomUUID } from "node:crypto";
import { rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { HealthCheck } from "../http/health.ts";
import type { ProviderState } from "../gateway/index.ts";
import { projectRoot } from "../platform/root.ts";
import type { Platform } from "./platform.ts";

const MIN_FREE_BYTES = 64n * 1024n * 1024n;

/** Throws unless there is room and something can be written. */
async function checkDisk(): Promise<undefined> {
  const { bavail, bsize } = await statfs(projectRoot, { bigint: true });
  if (bavail * bsize < MIN_FREE_BYTES) throw new Error("less than 64 MB free");
  const file = path.join(tmpdir(), `tollkeeper-${randomUUID()}`);
  await writeFile(file, "");
  await rm(file);
}

const well = async (work: Promise<unknown>): Promise<undefined> => void (await work);

/** The parts a process needs. Postgres is required: without it no call is admitted. */
export function partChecks({ pool, redis, temporal }: Platform): HealthCheck[] {
  return [
    { name: "postgres", required: true, check: () => well(pool.query("SELECT 1")) },
    { name: "redis", required: false, check: () => well(redis.ping()) },
    { name: "temporal", required: false, check: () => well(temporal.ping(1_500)) },
    { name: "disk", required: false, check: checkDisk },
  ];
}

/** Providers as customers' calls have found them; down when none can be asked. Not required: another copy would find the same. */
export function providerCheck(states: () => Promise<ProviderState[]>): HealthCheck {
  return {
    name: "providers",
    required: false,
    async check() {
      const items = await states();
      const broken = items.filter(({ state }) => state !== "closed");
      const dead = items.length > 0 && items.every(({ state }) => state === "open");
      return { status: dead ? "down" : broken.length > 0 ? "degraded" : "up", items };
    },
  };
}
