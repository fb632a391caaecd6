import { spawnSync } from "node:child_process";
import { chownSync, cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import pg from "pg";
import { readJson, writePrivateJson } from "./files.ts";
import { PartMissing, type Part } from "./part.ts";
import { findPostgres, postgresMissing, type PostgresBinaries } from "./postgres-binaries.ts";
import { canReach, newOutsideFolder, outsideBase, ownFolder, postgresUser, type RunAs } from "./postgres-user.ts";
import { createProcessPart } from "./process-part.ts";
import { commandLine, endProcess, identify } from "./processes.ts";
import { whileSaying, type Reporter } from "./report.ts";
import { runProgram } from "./run.ts";

export interface PostgresOptions {
  dataDir: string;
  port: number;
  password: string;
  /** False for throw-away data: commits do not wait for the disk. A killed process loses nothing, a power cut does. */
  durable: boolean;
  env: NodeJS.ProcessEnv;
  report: Reporter;
}

const ROLE = "tollkeeper";
export const DATABASE = "tollkeeper";

interface Location {
  folder: string;
  binaries: PostgresBinaries;
  user: RunAs;
}

/** The part and its connection string. Making it finds the binaries and initialises the data folder, which takes some seconds. */
export async function createPostgres(options: PostgresOptions): Promise<{ part: Part; url: string }> {
  const location = await locate(options);
  if (!existsSync(path.join(location.folder, "PG_VERSION"))) {
    await whileSaying(
      options.report,
      "postgres",
      () => "waiting for initdb",
      () => initialise(location, options.password),
    );
  }
  await clearStaleLock(location.folder, options.report);
  const url = `postgres://${ROLE}:${encodeURIComponent(options.password)}@127.0.0.1:${options.port}/${DATABASE}`;
  const { binaries, user, folder } = location;
  const part = createProcessPart(
    {
      name: "postgres",
      address: `127.0.0.1:${options.port} (PostgreSQL ${binaries.version}${binaries.embedded ? ", embedded" : ""})`,
      command: () => ({
        file: path.join(binaries.bin, "postgres"),
        args: ["-D", folder, "-p", String(options.port), ...settings(options.durable)],
        cwd: folder,
        ...user,
      }),
      ready: () => hasDatabase(url),
      // After a kill the old server's children need a moment to notice.
      retryWhen: /pre-existing shared memory block|lock file "postmaster.pid" already exists/,
    },
    options,
  );
  return { part, url };
}

function settings(durable: boolean): string[] {
  const chosen = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    "logging_collector=off",
    "log_timezone=UTC",
  ];
  if (!durable) chosen.push("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum_naptime=10min");
  return chosen.flatMap((setting) => ["-c", setting]);
}

async function hasDatabase(url: string): Promise<boolean> {
  const admin = new URL(url);
  admin.pathname = "/postgres";
  const client = new pg.Client({ connectionString: admin.href, connectionTimeoutMillis: 2_000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rowCount } = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [DATABASE]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
    return true;
  } finally {
    await client.end();
  }
}

/** What `postgres.json` of the data folder says: the folder outside that is ours too, if one was needed. */
interface Place {
  outside: string | null;
}

function placeFile(dataDir: string): string {
  return path.join(dataDir, "postgres.json");
}

/** The folder outside the data folder that is to be removed with it. */
export function outsideOf(dataDir: string): string | undefined {
  return readJson<Place>(placeFile(dataDir))?.outside ?? undefined;
}

/** Where the data lies and which binaries fit it. A folder chosen once is kept, because the data is there. */
async function locate(options: PostgresOptions): Promise<Location> {
  const { dataDir, report } = options;
  const found = await findPostgres(options.env);
  if (found.length === 0) throw postgresMissing();
  const user = postgresUser();
  const place = placeFile(dataDir);
  let outside = readJson<Place>(place)?.outside ?? null;
  const inside = path.join(dataDir, "postgres");
  if (outside === null && !canReach(dataDir, user)) {
    if (existsSync(inside))
      throw new PartMissing(`The Postgres user can no longer reach ${inside}. Make the folders above it enterable again.`);
    outside = newOutsideFolder();
    report.line("postgres", `its user cannot reach ${dataDir}, so its data is kept in ${outside}`);
  }
  const folder = outside === null ? inside : path.join(outside, "postgres");
  writePrivateJson(place, { outside } satisfies Place);
  const kept = existsSync(path.join(folder, "PG_VERSION"))
    ? Number.parseInt(readFileSync(path.join(folder, "PG_VERSION"), "utf8"), 10)
    : undefined;
  const fitting = kept === undefined ? found[0] : found.find((one) => one.major === kept);
  if (!fitting) {
    throw new PartMissing(
      `The data in ${folder} was made by PostgreSQL ${kept}, but this machine has only ${found.map((one) => one.version).join(", ")}.\n` +
        `Install PostgreSQL ${kept}, set DATABASE_URL, or remove ${dataDir} to begin anew.`,
    );
  }
  return { folder, user, binaries: reachableBinaries(fitting, user, report) };
}

/** The npm package's binaries may lie where the Postgres user cannot go; then a copy is made outside, once per version. */
function reachableBinaries(binaries: PostgresBinaries, user: RunAs, report: Reporter): PostgresBinaries {
  if (!binaries.embedded || canReach(binaries.bin, user)) return binaries;
  const copy = path.join(outsideBase(), `embedded-${binaries.version}`);
  if (!existsSync(copy)) {
    report.line("postgres", `its user cannot reach ${binaries.bin}, so the programs are copied to ${copy}`);
    const partial = `${copy}.${process.pid}`;
    cpSync(path.dirname(binaries.bin), partial, { recursive: true, verbatimSymlinks: true });
    spawnSync("chmod", ["-R", "a+rX", partial]);
    spawnSync("mv", ["-T", partial, copy]);
  }
  return { ...binaries, bin: path.join(copy, "bin") };
}

/** Made aside and renamed when whole, so that a start that is killed in the middle leaves nothing half made. */
async function initialise(location: Location, password: string): Promise<void> {
  const { binaries, folder, user } = location;
  const scratch = mkdtempSync(path.join(tmpdir(), "tollkeeper-"));
  const partial = `${folder}.new`;
  try {
    rmSync(partial, { recursive: true, force: true });
    ownFolder(partial, user);
    const secret = path.join(scratch, "password");
    writeFileSync(secret, password, { mode: 0o600 });
    if (user.uid !== undefined && user.gid !== undefined) {
      for (const file of [scratch, secret]) chownSync(file, user.uid, user.gid);
    }
    const args = ["-D", partial, "-U", ROLE, "-A", "scram-sha-256", `--pwfile=${secret}`, "-E", "UTF8", "--locale=C", "--no-sync"];
    const run = await runProgram(path.join(binaries.bin, "initdb"), args, { cwd: partial, ...user });
    if (!run.ok) throw new Error(`initdb failed:\n${run.output}`);
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
  } finally {
    for (const made of [scratch, partial]) rmSync(made, { recursive: true, force: true });
  }
}

/** Postgres refuses to start when its old process id now belongs to any process; and a server without a record is ended. */
async function clearStaleLock(folder: string, report: Reporter): Promise<void> {
  const file = path.join(folder, "postmaster.pid");
  if (!existsSync(file)) return;
  const pid = Number.parseInt(readFileSync(file, "utf8"), 10);
  const holder = Number.isNaN(pid) ? undefined : identify(pid);
  if (holder && /postgres/.test(commandLine(pid)) && commandLine(pid).includes(folder)) {
    report.line("postgres", `ending process ${pid}, which still holds ${folder}`);
    await endProcess(holder, { signal: "SIGINT", graceMs: 10_000 });
  }
  rmSync(file, { force: true });
}
