import { proxyActivities, setCurrentDetails } from "@temporalio/workflow";
import type { FileActivities } from "../activities/files.ts";
import { SWEEP_FILES } from "./timeouts.ts";

const { sweepFiles } = proxyActivities<FileActivities>(SWEEP_FILES);

export interface FileSweepResult {
  expired: number;
  removed: number;
  orphans: number;
  checks: number;
  failed: number;
}

/** Ends uploads that were never finished, removes what was deleted, and what belongs to no file. */
export async function fileSweep(): Promise<FileSweepResult> {
  const swept = await sweepFiles();
  setCurrentDetails(
    `${swept.expired} uploads given up, ${swept.removed} files removed, ${swept.orphans} objects of nobody, ${swept.checks} checks begun again, ${swept.failed} failed`,
  );
  return swept;
}
