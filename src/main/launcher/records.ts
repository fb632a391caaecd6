import { existsSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { readJson, writePrivateJson } from "./files.ts";
import { PART_NAMES, type PartName } from "./part.ts";
import { commandLine, endProcess, identify, isAlive, type ProcessIdentity } from "./processes.ts";
import type { Reporter } from "./report.ts";

/** What is written about each process that is started, so that a later launcher can find what a killed one left behind. */
interface RunRecord extends ProcessIdentity {
  part: PartName;
  file: string;
}

function recordFile(dataDir: string, part: PartName): string {
  return path.join(dataDir, "run", `${part}.json`);
}

export function writeRecord(dataDir: string, part: PartName, pid: number, file: string): void {
  const identity = identify(pid);
  if (identity) writePrivateJson(recordFile(dataDir, part), { part, file, ...identity } satisfies RunRecord);
}

export function removeRecord(dataDir: string, part: PartName): void {
  rmSync(recordFile(dataDir, part), { force: true });
}

/** The signal that makes a part end in an orderly way. SIGINT is Postgres' fast shutdown. */
export function stopSignal(part: PartName): NodeJS.Signals {
  return part === "postgres" ? "SIGINT" : "SIGTERM";
}

/**
 * Ends the processes that an earlier launcher started in this data folder and did not stop because it was killed itself.
 * A process counts as ours only when both its id and its start time are the recorded ones.
 */
export async function endOrphans(dataDir: string, report: Reporter): Promise<void> {
  if (!existsSync(path.join(dataDir, "run"))) return;
  const records = readdirSync(path.join(dataDir, "run"))
    .map((name) => readJson<RunRecord>(path.join(dataDir, "run", name)))
    .filter((record): record is RunRecord => record !== undefined && PART_NAMES.includes(record.part))
    .sort((a, b) => PART_NAMES.indexOf(a.part) - PART_NAMES.indexOf(b.part));
  for (const record of records) {
    if (isAlive(record)) {
      report.line(record.part, `ending process ${record.pid}, left by an earlier start: ${commandLine(record.pid).slice(0, 80)}`);
      await endProcess(record, { signal: stopSignal(record.part), graceMs: 10_000 });
    }
    removeRecord(dataDir, record.part);
  }
}
