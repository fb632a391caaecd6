import { rmSync } from "node:fs";
import path from "node:path";
import { writePrivateJson } from "./files.ts";

/** Where everything is, for people, the demo and tests. A part that was not started or is not known is left out. */
export interface Endpoints {
  api?: string;
  worker?: string;
  temporal?: string;
  temporal_ui?: string;
  inbox?: string;
  sandbox?: string;
  upstream?: string;
  admin: { email: string; password: string };
  sandbox_keys: { epay: { pid: string; key: string } };
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
