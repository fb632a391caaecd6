import { existsSync, rmSync, writeFileSync } from "node:fs";
import { onPath } from "./find.ts";
import { PartMissing } from "./part.ts";
import { whileSaying, type Reporter } from "./report.ts";
import { lastLines, runProgram } from "./run.ts";

const NAMES = ["redis-server", "valkey-server"];

/** `TOLLKEEPER_REDIS_BIN`, then PATH, then the system's package manager; throws {@link PartMissing} with what to do. */
export async function findRedis(env: NodeJS.ProcessEnv, report: Reporter): Promise<string> {
  const present = env["TOLLKEEPER_REDIS_BIN"] || onPath(...NAMES);
  if (present) return present;
  report.line("redis", "not found on this machine");
  const output = await install(report);
  const installed = onPath(...NAMES);
  if (installed) return installed;
  throw new PartMissing(
    "Redis was not found on this machine and could not be installed.\n" +
      "Install Redis 6.2 or later, or Valkey (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis),\n" +
      `or set REDIS_URL=redis://host:6379.${output ? `\nThe package manager said:\n${output}` : ""}`,
  );
}

/** Returns what the package manager said when it failed. */
async function install(report: Reporter): Promise<string> {
  if (onPath("brew")) return run("brew", ["install", "redis"], report);
  if (!onPath("apt-get") || process.getuid?.() !== 0) return "";
  return withoutServiceStart(async () => {
    const args = ["install", "-y", "--no-install-recommends", "redis-server"];
    if ((await run("apt-get", args, report)) === "") return "";
    // The usual reason is that the package lists are missing or old.
    const update = await run("apt-get", ["update"], report);
    const again = await run("apt-get", args, report);
    return again === "" ? "" : [update, again].filter(Boolean).join("\n");
  });
}

const POLICY = "/usr/sbin/policy-rc.d";

/** Debian starts a service when it is installed unless this file forbids it. One that is already there is left alone. */
async function withoutServiceStart<T>(work: () => Promise<T>): Promise<T> {
  if (existsSync(POLICY)) return work();
  writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    return await work();
  } finally {
    rmSync(POLICY, { force: true });
  }
}

/** "" when the command succeeded, else the end of its output. */
async function run(file: string, args: string[], report: Reporter): Promise<string> {
  report.line("redis", `running ${file} ${args.join(" ")}`);
  let last = "";
  const result = await whileSaying(
    report,
    "redis",
    () => `${file}: ${last}`,
    () => runProgram(file, args, { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }, onLine: (line) => (last = line) }),
  );
  return result.ok ? "" : lastLines(result.output, 8) || `${file} failed`;
}
