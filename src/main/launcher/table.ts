import path from "node:path";
import type { Endpoints } from "./endpoints.ts";

/** What a person needs once everything runs. */
export function addressTable(endpoints: Endpoints, dataDir: string): string {
  const rows: [string, string | undefined][] = [
    ["API", endpoints.api],
    ["API documentation", endpoints.api && `${endpoints.api}/docs`],
    ["Temporal UI", endpoints.temporal_ui],
    ["Mail inbox", endpoints.inbox],
    ["Payment sandbox", endpoints.sandbox],
    ["Demo upstream", endpoints.upstream],
    ["Demo Dify", endpoints.dify],
    ["File storage (S3)", endpoints.s3],
    ["Administrator", `${endpoints.admin.email}, password in ${path.relative(process.cwd(), path.join(dataDir, "endpoints.json"))}`],
    ["See it work", "npm run demo (in another terminal)"],
    ["Stop", "Ctrl-C; the data stays for the next start"],
  ];
  return rows
    .filter(([, value]) => value)
    .map(([name, value]) => `  ${name.padEnd(18)} ${value}\n`)
    .join("");
}
