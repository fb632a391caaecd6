import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** A process that cannot be mistaken for a later one with the same id. */
export interface ProcessIdentity {
  pid: number;
  /** When it began, in the system's own words; with the pid it names one process. */
  began: string;
}

/** When the process began, or undefined when it is gone (a zombie counts as gone). */
export function processBegan(pid: number): string | undefined {
  if (process.platform === "linux") {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      // The name in brackets may hold spaces; the fields after it are fixed: state is the first, start time the twentieth.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[0] === "Z" || fields[0] === "X") return undefined;
      return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}:${fields[19]}`;
    } catch {
      return undefined;
    }
  }
  const ps = spawnSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
  const [, state = "", began = ""] = /^(\S+)\s+(.+)$/.exec(ps.stdout.trim()) ?? [];
  return began && !state.startsWith("Z") ? began : undefined;
}

/** The command line, or "" when the process is gone. */
export function commandLine(pid: number): string {
  if (process.platform === "linux") {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ").trim();
    } catch {
      return "";
    }
  }
  return spawnSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" }).stdout.trim();
}

export function identify(pid: number): ProcessIdentity | undefined {
  const began = processBegan(pid);
  return began === undefined ? undefined : { pid, began };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return processBegan(identity.pid) === identity.began;
}

/** Sends a signal; a process that is already gone is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Asks a process that is not our child to end, insists after `graceMs`, and resolves when it is gone. */
export async function endProcess(identity: ProcessIdentity, options: { signal: NodeJS.Signals; graceMs: number }): Promise<void> {
  if (!isAlive(identity)) return;
  signal(identity.pid, options.signal);
  const deadline = Date.now() + options.graceMs;
  let insisted = false;
  while (isAlive(identity)) {
    if (!insisted && Date.now() > deadline) {
      insisted = true;
      signal(identity.pid, "SIGKILL");
    }
    if (Date.now() > deadline + 10_000) throw new Error(`process ${identity.pid} does not end`);
    await delay(50);
  }
}
