import { chmod, chown, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { ROOMS } from "./command.ts";

/** A folder in which one program works, and the user as whom. */
export interface Room {
  folder: string;
  /** A user that owns nothing else on this machine; undefined where we may not become another. */
  uid: number | undefined;
}

/** Beyond what systems and containers hand out. */
const FIRST_UID = 1_900_000_000;
const UIDS = 100_000_000;
let taken = 0;

const nextUid = (): number => FIRST_UID + ((process.pid * 1_000 + taken++) % UIDS);

/** Makes a folder that only its program may look into, and removes it with everything in it when `use` is done. */
export async function inRoom<T>(parent: string, use: (room: Room) => Promise<T>): Promise<T> {
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(path.join(parent, "room-"));
  const uid = process.getuid?.() === 0 ? nextUid() : undefined;
  try {
    for (const name of ROOMS) await mkdir(path.join(folder, name), { mode: 0o700 });
    if (uid !== undefined) for (const name of ["", ...ROOMS]) await chown(path.join(folder, name), uid, uid);
    return await use({ folder, uid });
  } finally {
    await removeAll(folder);
  }
}

/** Removes a folder, also when its program took our rights to parts of it away. */
async function removeAll(folder: string): Promise<void> {
  const gone = { recursive: true, force: true, maxRetries: 3 } as const;
  await rm(folder, gone).catch(async () => {
    await open(folder);
    await rm(folder, gone);
  });
}

async function open(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true })) if (entry.isDirectory()) await open(path.join(folder, entry.name));
}
