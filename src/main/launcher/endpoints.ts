import { rmSync } from "node:fs";
import path from "node:path";
import type { Addresses, Environment } from "./environment.ts";
import { writePrivateJson } from "./files.ts";
import type { PortName } from "./ports.ts";

/** Where everything is, for people, the demo and tests. A part that was not started or is not known is left out. */
export interface Endpoints {
  api?: string;
  worker?: string;
  /** Pages with metrics for Prometheus. */
  metrics?: { api?: string; worker?: string };
  temporal?: string;
  temporal_ui?: string;
  inbox?: string;
  sandbox?: string;
  upstream?: string;
  dify?: string;
  s3?: string;
  admin: { email: string; password: string };
  sandbox_keys: { epay: { pid: string; key: string } };
  /** What Dify's webhook signs itself with. */
  webhook: { api_key: string; secret: string };
  s3_keys: { access_key: string; secret_key: string; bucket: string };
  database_url?: string;
  redis_url?: string;
  smtp_url?: string;
  namespace: string;
}

function endpointsFile(dataDir: string): string {
  return path.join(dataDir, "endpoints.json");
}

/** Written when everything is ready; it holds passwords, so only its owner may read it. */
export function writeEndpoints(dataDir: string, endpoints: Endpoints): void {
  writePrivateJson(endpointsFile(dataDir), endpoints);
}

export function removeEndpoints(dataDir: string): void {
  rmSync(endpointsFile(dataDir), { force: true });
}

/** The addresses of what was started, and of what the environment names. */
export function endpointsOf(
  ports: Partial<Record<PortName, number>>,
  addresses: Addresses,
  env: Environment,
  namespace: string,
): Endpoints {
  const at = (port: number | undefined) => (port === undefined ? undefined : `http://127.0.0.1:${port}`);
  const first = (list: string | undefined) => (list ?? "").split(",")[0]!.trim();
  const page = (port: number | undefined) => (port === undefined ? undefined : `http://127.0.0.1:${port}/metrics`);
  const endpoints = {
    api: at(ports.api),
    worker: at(ports.worker),
    metrics: { api: page(Number(env["METRICS_PORT"]) || ports.api), worker: page(ports.worker_metrics) },
    temporal: addresses.temporalAddress,
    temporal_ui: addresses.temporalUiUrl,
    inbox: at(ports.inbox),
    sandbox: at(ports.sandbox),
    upstream: at(ports.upstream),
    dify: at(ports.dify),
    s3: env["S3_ENDPOINT"],
    admin: { email: env["ADMIN_EMAIL"] ?? "", password: env["ADMIN_PASSWORD"] ?? "" },
    sandbox_keys: { epay: { pid: env["EPAY_PID"] ?? "", key: env["EPAY_KEY"] ?? "" } },
    webhook: { api_key: first(env["DIFY_WEBHOOK_API_KEY"]), secret: first(env["DIFY_WEBHOOK_SECRET"]) },
    s3_keys: {
      access_key: env["S3_ACCESS_KEY_ID"] ?? "",
      secret_key: env["S3_SECRET_ACCESS_KEY"] ?? "",
      bucket: env["S3_BUCKET"] ?? "tollkeeper",
    },
    database_url: addresses.databaseUrl,
    redis_url: addresses.redisUrl,
    smtp_url: env["SMTP_URL"],
    namespace,
  };
  return JSON.parse(JSON.stringify(endpoints)) as Endpoints;
}
