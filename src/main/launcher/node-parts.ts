import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { projectRoot } from "../../platform/root.ts";
import type { Environment } from "./environment.ts";
import type { Part, PartName } from "./part.ts";
import { httpStatus } from "./probes.ts";
import { createProcessPart } from "./process-part.ts";
import type { Reporter } from "./report.ts";

export type NodePartName = Extract<PartName, "api" | "worker" | "inbox" | "sandbox" | "upstream" | "dify">;

/** The folder that holds the compiled program: this file is `<it>/src/main/launcher/node-parts.js`. */
export const compiledFolder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");

const NODE_FLAGS = ["--enable-source-maps"];
/** Room for what lives as long as a call, so that it is not moved twice: a tenth less CPU a call, for up to 128 MB. */
const API_FLAGS = ["--max-semi-space-size=64"];

/** Entry file and the page that answers 200 once the part is ready. */
const ENTRIES: Record<NodePartName, { file: string; ready: string; flags?: string[] }> = {
  api: { file: "src/main/api.js", ready: "/readyz", flags: API_FLAGS },
  worker: { file: "src/main/worker.js", ready: "/readyz" },
  inbox: { file: "dev/inbox/main.js", ready: "/healthz" },
  sandbox: { file: "dev/sandbox/main.js", ready: "/healthz" },
  upstream: { file: "dev/upstream/main.js", ready: "/healthz" },
  dify: { file: "dev/dify/main.js", ready: "/healthz" },
};

/** A part that is our own program in a Node process of its own; its port comes to it as PORT. */
export function createNodePart(options: { name: NodePartName; port: number; env: Environment; dataDir: string; report: Reporter }): Part {
  const entry = ENTRIES[options.name];
  const file = path.join(compiledFolder, entry.file);
  const url = `http://127.0.0.1:${options.port}`;
  return createProcessPart(
    {
      name: options.name,
      address: url,
      command() {
        if (!existsSync(file)) throw new Error(`${file} is missing: run npm run build`);
        const own = { ACTIVITY_DIR: path.join(options.dataDir, "activity"), ...options.env };
        const env = { ...own, PORT: String(options.port), DATA_DIR: options.dataDir };
        return { file: process.execPath, args: [...NODE_FLAGS, ...(entry.flags ?? []), file], env, cwd: projectRoot };
      },
      ready: async () => (await httpStatus(`${url}${entry.ready}`, 2_000)) === 200,
    },
    options,
  );
}
