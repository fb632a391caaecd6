import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, mkdirSync } from "node:fs";
import path from "node:path";
import { onPath } from "./find.ts";
import { PartMissing } from "./part.ts";

/** Whom Postgres runs as: nobody else for an ordinary user, the `postgres` user for root, because Postgres refuses root. */
export interface RunAs {
  uid?: number;
  gid?: number;
}

/** The user for Postgres; for root the system user `postgres`, which is made when it is missing. */
export function postgresUser(): RunAs {
  if (process.getuid?.() !== 0) return {};
  let ids = userIds("postgres");
  if (!ids) {
    makeUser();
    ids = userIds("postgres");
  }
  if (!ids)
    throw new PartMissing(
      "Postgres does not run as root and the user `postgres` could not be made. Run as another user, make that user, or set DATABASE_URL.",
    );
  return ids;
}

/** With the tools of most systems (shadow), or those of Alpine (BusyBox). */
function makeUser(): void {
  const [groupadd, useradd, adduser] = [onPath("groupadd"), onPath("useradd"), onPath("adduser")];
  if (groupadd && useradd) {
    spawnSync(groupadd, ["--system", "postgres"]);
    spawnSync(useradd, ["--system", "--gid", "postgres", "--no-create-home", "--shell", "/usr/sbin/nologin", "postgres"]);
  } else if (adduser) {
    spawnSync(adduser, ["-S", "-D", "-H", "postgres"]);
  }
}

function userIds(name: string): { uid: number; gid: number } | undefined {
  const uid = Number.parseInt(spawnSync("id", ["-u", name], { encoding: "utf8" }).stdout, 10);
  const gid = Number.parseInt(spawnSync("id", ["-g", name], { encoding: "utf8" }).stdout, 10);
  return Number.isNaN(uid) || Number.isNaN(gid) ? undefined : { uid, gid };
}

/** Whether that user can enter a folder that exists. */
export function canReach(folder: string, user: RunAs): boolean {
  if (user.uid === undefined) return true;
  return spawnSync("/bin/sh", ["-c", 'cd "$1"', "sh", folder], { ...user, cwd: "/" }).status === 0;
}

/** A folder that the user owns. Parents that are made on the way can be entered by everyone. */
export function ownFolder(folder: string, user: RunAs): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  chmodSync(folder, 0o700);
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid);
}

const OUTSIDE = ["/var/lib/tollkeeper", "/var/tmp/tollkeeper"];

/** A folder of ours that every user can enter. */
export function outsideBase(): string {
  for (const base of OUTSIDE) {
    try {
      mkdirSync(base, { recursive: true });
      chmodSync(base, 0o755);
      return base;
    } catch {
      continue;
    }
  }
  throw new PartMissing(
    "The Postgres user cannot reach this folder. Move the project, make the folders above it enterable, or set DATABASE_URL.",
  );
}

/** A new folder there, never one that holds another data folder's database. */
export function newOutsideFolder(): string {
  const folder = path.join(outsideBase(), randomBytes(8).toString("hex"));
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  return folder;
}
