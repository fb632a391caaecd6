import { lstat, readdir, readFile } from "node:fs/promises";
import path from "node:path";

/** Pages of this size are what Linux counts in on all machines that renderers are made for. */
const PAGE = 4_096;

/** What a process and all that descend from it use now. Those that end meanwhile are left out. */
export async function processUsage(pid: number): Promise<{ pids: number[]; memory: number }> {
  const pids = await family(pid);
  const resident = await Promise.all(pids.map(residentOf));
  return { pids, memory: resident.reduce((sum, pages) => sum + pages, 0) * PAGE };
}

async function family(root: number): Promise<number[]> {
  const found = [root];
  for (let at = 0; at < found.length && found.length < 10_000; at++) {
    const threads = await readdir(`/proc/${found[at]}/task`).catch(() => []);
    const children = await Promise.all(threads.map((thread) => read(`/proc/${found[at]}/task/${thread}/children`)));
    for (const child of children.flatMap((line) => line.split(" "))) if (child.trim()) found.push(Number(child));
  }
  return found;
}

const residentOf = async (pid: number): Promise<number> => Number((await read(`/proc/${pid}/statm`)).split(" ")[1] ?? 0);
const read = (file: string): Promise<string> => readFile(file, "utf8").catch(() => "");

/** Bytes on the disk and number of entries below a folder. Follows no link; stops counting at `most` entries. */
export async function folderUsage(folder: string, most: number): Promise<{ bytes: number; files: number }> {
  const total = { bytes: 0, files: 0 };
  const open = [folder];
  for (let next = open.pop(); next !== undefined && total.files <= most; next = open.pop()) {
    for (const entry of await readdir(next, { withFileTypes: true }).catch(() => [])) {
      total.files += 1;
      const place = path.join(next, entry.name);
      if (entry.isDirectory()) open.push(place);
      else total.bytes += (await lstat(place).catch(() => ({ blocks: 0 }))).blocks * 512;
      if (total.files > most) break;
    }
  }
  return total;
}
