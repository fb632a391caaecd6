import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { isProgram, onPath } from "./find.ts";
import { seconds, whileSaying, type Reporter } from "./report.ts";
import { lastLines, runProgram, type RunResult } from "./run.ts";

/** Where a program that was fetched or built is kept for all checkouts of this user. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return path.join(env["XDG_CACHE_HOME"] || path.join(homedir(), ".cache"), "tollkeeper", "bin");
}

/** A way of having a program: puts it into `folder` under a name that begins with the program's. */
export type Fetch = (folder: string) => Promise<RunResult>;

/**
 * A program from the cache, or had in the first of these ways that works and then kept there. Returns its path, or how each way ended.
 */
export async function cachedProgram(name: string, env: NodeJS.ProcessEnv, ways: Fetch[]): Promise<string | RunResult[]> {
  const folder = cacheFolder(env);
  const cached = path.join(folder, name);
  if (isProgram(cached)) return cached;
  mkdirSync(folder, { recursive: true });
  // A name of its own until it is whole: two starts at once, or one that is stopped, leave no half a program behind.
  const scratch = mkdtempSync(path.join(folder, ".new-"));
  try {
    const tried: RunResult[] = [];
    for (const way of ways) {
      const result = await way(scratch);
      tried.push(result);
      if (result.ok) break;
    }
    const program = readdirSync(scratch).find((file) => file.startsWith(name));
    if (!tried.some((result) => result.ok) || !program) return tried;
    chmodSync(path.join(scratch, program), 0o755);
    renameSync(path.join(scratch, program), cached);
    return cached;
  } finally {
    if (existsSync(scratch)) rmSync(scratch, { recursive: true, force: true });
  }
}

/** Builds a Go program, saying how far it is. */
export function goInstall(options: { part: string; package: string; env: NodeJS.ProcessEnv; report: Reporter }): Fetch {
  const { part, env, report } = options;
  return async (folder) => {
    const go = onPath("go");
    if (!go) return { ok: false, output: "go is not installed" };
    report.line(part, `building it: go install ${options.package} (some minutes, only this once)`);
    const began = performance.now();
    let last = "";
    const result = await whileSaying(
      report,
      part,
      () => `building${last ? `: ${last}` : ""}`,
      () =>
        runProgram(go, ["install", "-v", options.package], {
          env: { ...process.env, ...env, GOBIN: folder },
          onLine: (line) => (last = line),
        }),
    );
    report.line(part, result.ok ? `built in ${seconds(performance.now() - began)}` : `the build failed: ${lastLines(result.output, 3)}`);
    return result;
  };
}
