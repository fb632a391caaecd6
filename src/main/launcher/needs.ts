import type { Environment } from "./environment.ts";
import type { PartName } from "./part.ts";
import type { PortName } from "./ports.ts";

/** The variable that names a part, so that none is started. */
const REPLACED_BY: Partial<Record<PartName, string>> = {
  postgres: "DATABASE_URL",
  redis: "REDIS_URL",
  temporal: "TEMPORAL_ADDRESS",
  inbox: "SMTP_URL",
  sandbox: "EPAY_URL",
};

export function isReplaced(name: PartName, env: Environment): boolean {
  const variable = REPLACED_BY[name];
  return variable !== undefined && env[variable] !== undefined;
}

/** The ports that each part listens on. */
export const PORTS_OF: Record<PartName, PortName[]> = {
  api: ["api"],
  worker: ["worker", "worker_metrics"],
  upstream: ["upstream"],
  dify: ["dify"],
  sandbox: ["sandbox"],
  inbox: ["inbox", "smtp"],
  temporal: ["temporal", "temporal_ui"],
  redis: ["redis"],
  postgres: ["postgres"],
};
