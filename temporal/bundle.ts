import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { bundleWorkflowCode } from "@temporalio/worker";

/** What a Temporal worker takes as `workflowBundle`. */
export type WorkflowBundle = { codePath: string } | { code: string };

const built = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const workflows = path.join(built, "workflows");
const target = path.join(built, "workflow-bundle.js");
const stamp = path.join(built, "workflow-bundle.sha256");

/** A hash of all compiled workflow code and of the SDK that bundles it. */
function sourcesHash(): string {
  const hash = createHash("sha256");
  const require = createRequire(import.meta.url);
  for (const name of ["@temporalio/worker", "@temporalio/workflow", "@temporalio/common"]) {
    hash.update(`${name} ${(require(`${name}/package.json`) as { version: string }).version}\n`);
  }
  for (const file of readdirSync(workflows, { recursive: true, encoding: "utf8" }).sort()) {
    if (file.endsWith(".js")) hash.update(`${file}\n`).update(readFileSync(path.join(workflows, file)));
  }
  return hash.digest("hex");
}

/**
 * The workflows as one file, so that a worker starts in milliseconds and every copy of a release runs the same code. Made at build time;
 * made again here only when the sources have changed since. Safe when several processes do it at once.
 */
export async function workflowBundle(): Promise<WorkflowBundle> {
  const hash = sourcesHash();
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return { codePath: target };
  const { code } = await bundleWorkflowCode({
    workflowsPath: path.join(workflows, "index.js"),
    workflowInterceptorModules: [path.join(workflows, "tracing.js")],
    logger: { log: () => {}, trace: () => {}, debug: () => {}, info: () => {}, warn: console.warn, error: console.error },
  });
  try {
    for (const [file, content] of [
      [target, code],
      [stamp, hash],
    ] as const) {
      await writeFile(`${file}.${process.pid}`, content);
      await rename(`${file}.${process.pid}`, file);
    }
    return { codePath: target };
  } catch {
    // A read-only image whose bundle is missing or old: use what was just made.
    return { code };
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await workflowBundle();
