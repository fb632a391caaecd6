import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { isProgram, onPath } from "../src/main/launcher/find.ts";
import { PartMissing } from "../src/main/launcher/part.ts";
import { seconds, whileSaying, type Reporter } from "../src/main/launcher/report.ts";
import { lastLines, runProgram, type RunResult } from "../src/main/launcher/run.ts";

const CLI_VERSION = "v1.5.1";
const CLI_PACKAGE = `github.com/temporalio/cli/cmd/temporal@${CLI_VERSION}`;
const DOWNLOAD_TIMEOUT_MS = 180_000;

/** Where a program that was fetched or built is kept for all checkouts of this user. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return path.join(env["XDG_CACHE_HOME"] || path.join(homedir(), ".cache"), "tollkeeper", "bin");
}

/**
 * The `temporal` program: `TOLLKEEPER_TEMPORAL_BIN`, PATH, the cache, the Temporal SDK's own download, or a build with Go.
 * Throws {@link PartMissing} with what to do when none can be had.
 */
export async function findTemporal(env: NodeJS.ProcessEnv, report: Reporter): Promise<string> {
  const present = env["TOLLKEEPER_TEMPORAL_BIN"] || onPath("temporal");
  if (present) return present;
  const folder = cacheFolder(env);
  const cached = path.join(folder, "temporal");
  if (isProgram(cached)) return cached;
  mkdirSync(folder, { recursive: true });
  // A name of its own until it is whole: two starts at once, or one that is stopped, leave no half a program behind.
  const scratch = mkdtempSync(path.join(folder, ".new-"));
  try {
    const tried = [await download(scratch, report)];
    if (!tried[0]!.ok) tried.push(await build(scratch, env, report));
    const program = readdirSync(scratch).find((name) => name.startsWith("temporal"));
    if (!tried.some((result) => result.ok) || !program) throw missing(tried);
    chmodSync(path.join(scratch, program), 0o755);
    renameSync(path.join(scratch, program), cached);
    return cached;
  } finally {
    removeTree(scratch);
  }
}

async function download(folder: string, report: Reporter): Promise<RunResult> {
  report.line("temporal", "not found; downloading it");
  // Its own process, because the SDK's native code is not wanted in this one, and so that it can be given up.
  const script = fileURLToPath(new URL("./download.js", import.meta.url));
  const result = await whileSaying(
    report,
    "temporal",
    () => "waiting for the download",
    () => runProgram(process.execPath, [script, folder], { timeout: DOWNLOAD_TIMEOUT_MS }),
  );
  if (!result.ok) report.line("temporal", `the download failed: ${lastLines(result.output, 1)}`);
  return result;
}

async function build(folder: string, env: NodeJS.ProcessEnv, report: Reporter): Promise<RunResult> {
  const go = onPath("go");
  if (!go) return { ok: false, output: "go is not installed" };
  report.line("temporal", `building it: go install ${CLI_PACKAGE} (some minutes, only this once)`);
  const began = performance.now();
  let last = "";
  const result = await whileSaying(
    report,
    "temporal",
    () => `building${last ? `: ${last}` : ""}`,
    () =>
      runProgram(go, ["install", "-v", CLI_PACKAGE], {
        env: { ...process.env, ...env, GOBIN: folder },
        onLine: (line) => (last = line),
      }),
  );
  report.line(
    "temporal",
    result.ok ? `built in ${seconds(performance.now() - began)}` : `the build failed: ${lastLines(result.output, 3)}`,
  );
  return result;
}

function missing(tried: RunResult[]): PartMissing {
  return new PartMissing(
    "The Temporal server was not found on this machine and could not be downloaded or built.\n" +
      "Install the Temporal CLI (https://docs.temporal.io/cli; macOS: brew install temporal) or Go 1.25 or later, or set\n" +
      `TEMPORAL_ADDRESS=host:7233.\n${tried.map((result) => lastLines(result.output, 3)).join("\n")}`,
  );
}

function removeTree(folder: string): void {
  if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
}
