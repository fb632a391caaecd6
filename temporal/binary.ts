import { fileURLToPath } from "node:url";
import { onPath } from "../src/main/launcher/find.ts";
import { cachedProgram, goInstall } from "../src/main/launcher/go-program.ts";
import { PartMissing } from "../src/main/launcher/part.ts";
import { whileSaying, type Reporter } from "../src/main/launcher/report.ts";
import { lastLines, runProgram, type RunResult } from "../src/main/launcher/run.ts";

const CLI_VERSION = "v1.5.1";
const CLI_PACKAGE = `github.com/temporalio/cli/cmd/temporal@${CLI_VERSION}`;
const DOWNLOAD_TIMEOUT_MS = 180_000;

/**
 * The `temporal` program: `TOLLKEEPER_TEMPORAL_BIN`, PATH, the cache, the Temporal SDK's own download, or a build with Go.
 * Throws {@link PartMissing} with what to do when none can be had.
 */
export async function findTemporal(env: NodeJS.ProcessEnv, report: Reporter): Promise<string> {
  const present = env["TOLLKEEPER_TEMPORAL_BIN"] || onPath("temporal");
  if (present) return present;
  const build = goInstall({ part: "temporal", package: CLI_PACKAGE, env, report });
  const found = await cachedProgram("temporal", env, [(folder) => download(folder, report), build]);
  if (typeof found === "string") return found;
  throw missing(found);
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

function missing(tried: RunResult[]): PartMissing {
  return new PartMissing(
    "The Temporal server was not found on this machine and could not be downloaded or built.\n" +
      "Install the Temporal CLI (https://docs.temporal.io/cli; macOS: brew install temporal) or Go 1.25 or later, or set\n" +
      `TEMPORAL_ADDRESS=host:7233.\n${tried.map((result) => lastLines(result.output, 3)).join("\n")}`,
  );
}
