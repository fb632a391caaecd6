import type { Environment } from "./environment.ts";
import type { PartName } from "./part.ts";
import type { PortName } from "./ports.ts";

/** The variables that name a part, so that none is started. */
const REPLACED_BY: Partial<Record<PartName, string[]>> = {
  postgres: ["DATABASE_URL"],
  redis: ["REDIS_URL"],
  temporal: ["TEMPORAL_ADDRESS"],
  inbox: ["SMTP_URL"],
  sandbox: ["EPAY_URL"],
  s3: ["S3_ENDPOINT", "OSS_ENDPOINT"],
};

export function isReplaced(name: PartName, env: Environment): boolean {
  return REPLACED_BY[name]?.some((variable) => env[variable] !== undefined) ?? false;
}

/** The ports that each part listens on. */
export const PORTS_OF: Record<PartName, PortName[]> = {
  api: ["api"],
  worker: ["worker", "worker_metrics"],
  upstream: ["upstream"],
  dify: ["dify"],
  sandbox: ["sandbox"],
  inbox: ["inbox", "smtp"],
  s3: ["s3"],
  temporal: ["temporal", "temporal_ui"],
  redis: ["redis"],
  postgres: ["postgres"],
};
