import { rmSync } from "node:fs";
import type { Part } from "./part.ts";
import { outsideOf } from "./postgres.ts";
import { endOrphans } from "./records.ts";
import { silent } from "./report.ts";

/** Those that use the others first, and gracefully; then the rest. One that fails to end does not keep the others. */
export async function stopAll(parts: Part[]): Promise<void> {
  const first = parts.filter((part) => part.name === "api" || part.name === "worker");
  const rest = parts.filter((part) => !first.includes(part));
  const results = [
    ...(await Promise.allSettled(first.map((part) => part.stop()))),
    ...(await Promise.allSettled(rest.map((part) => part.stop()))),
  ];
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

/** Also removes what had to be kept outside the folder. */
export function removeData(dataDir: string): void {
  for (const folder of [outsideOf(dataDir), dataDir]) if (folder) rmSync(folder, { recursive: true, force: true });
}

/** Ends the processes and removes the data of a stack whose launcher is gone. */
export async function destroyRemains(dataDir: string): Promise<void> {
  await endOrphans(dataDir, silent);
  removeData(dataDir);
}
