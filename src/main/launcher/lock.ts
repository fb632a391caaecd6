import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { readJson } from "./files.ts";
import { identify, isAlive, type ProcessIdentity } from "./processes.ts";

/** Thrown when another launcher holds the data folder. */
export class AlreadyRunning extends Error {
  readonly pid: number;

  constructor(pid: number, dataDir: string) {
    super(
      `Tollkeeper already runs with the data in ${dataDir} (process ${pid}). Its addresses are in ${path.join(dataDir, "endpoints.json")}.`,
    );
    this.name = "AlreadyRunning";
    this.pid = pid;
  }
}

/**
 * Takes the data folder for this process; returns what gives it back. A lock whose process is gone is taken over.
 * Throws {@link AlreadyRunning}.
 */
export function takeLock(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true });
  const file = path.join(dataDir, "launcher.lock");
  const mine = path.join(dataDir, `launcher.lock.${process.pid}`);
  const text = JSON.stringify(identify(process.pid));
  writeFileSync(mine, text, { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        // A link appears whole or not at all, and fails when the name exists.
        linkSync(mine, file);
        return () => {
          if (readText(file) === text) rmSync(file, { force: true });
        };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const holder = readJson<ProcessIdentity>(file);
      if (holder && isAlive(holder)) throw new AlreadyRunning(holder.pid, dataDir);
      takeAway(file, JSON.stringify(holder));
    }
    throw new Error(`cannot take ${file}`);
  } finally {
    rmSync(mine, { force: true });
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** Removes a stale lock, but puts it back when another launcher has replaced it in the meantime. */
function takeAway(file: string, expected: string | undefined): void {
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if (expected !== undefined && readText(aside) !== expected) {
    try {
      linkSync(aside, file);
    } catch {
      // Someone else holds it by now; the next round finds that.
    }
  }
  rmSync(aside, { force: true });
}
