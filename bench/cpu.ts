import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** A process as Linux tells of it. */
interface Task {
  pid: number;
  parent: number;
  command: string;
  /** Its own CPU time and that of its ended children, in seconds. */
  cpuSeconds: number;
}

let ticks = 0;

function readTask(pid: number): Task | undefined {
  try {
    ticks ||= Number(execFileSync("getconf", ["CLK_TCK"]).toString());
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in brackets may hold spaces; see proc(5) for the fields after it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const command = readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ");
    const used = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
    return { pid, parent: Number(fields[1]), command, cpuSeconds: used / ticks };
  } catch {
    return undefined;
  }
}

/** Every process below this one, at any depth. Only on Linux. */
export function descendants(root = process.pid): Task[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readTask(Number(name)))
    .filter((task) => task !== undefined);
  const below = new Set([root]);
  for (let grown = true; grown;) {
    grown = false;
    for (const { pid, parent } of all) {
      if (below.has(pid) || !below.has(parent)) continue;
      below.add(pid);
      grown = true;
    }
  }
  return all.filter(({ pid }) => pid !== root && below.has(pid));
}
