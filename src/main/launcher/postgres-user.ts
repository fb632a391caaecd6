import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
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
    if (onPath("useradd")) {
      spawnSync("groupadd", ["--system", "postgres"]);
      spawnSync("useradd", ["--system", "--gid", "postgres", "--no-create-home", "--shell", "/usr/sbin/nologin", "postgres"]);
    } else {
      spawnSync("adduser", ["-S", "-D", "-H", "postgres"]);
    }
    ids = userIds("postgres");
  }
  if (!ids)
    throw new PartMissing(
      "Postgres does not run as root and the user `postgres` could not be made. Run as another user, make that user, or set DATABASE_URL.",
    );
  return ids;
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

/** A place outside for a data folder that the Postgres user cannot reach; the same one every time. */
export function outsideFolder(dataDir: string): string {
  const hash = createHash("sha256").update(path.resolve(dataDir)).digest("hex").slice(0, 16);
  for (const base of ["/var/lib/tollkeeper", "/var/tmp/tollkeeper"]) {
    try {
      const folder = path.join(base, hash);
      mkdirSync(folder, { recursive: true, mode: 0o755 });
      chmodSync(base, 0o755);
      chmodSync(folder, 0o755);
      return folder;
    } catch {
      continue;
    }
  }
  throw new PartMissing(
    `The Postgres user cannot reach ${dataDir}. Move the project, make the folders above it enterable, or set DATABASE_URL.`,
  );
}
