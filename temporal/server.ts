import path from "node:path";
import { chmodSync, mkdirSync } from "node:fs";
import { Connection } from "@temporalio/client";
import type { Part } from "../src/main/launcher/part.ts";
import { createProcessPart } from "../src/main/launcher/process-part.ts";
import type { Reporter } from "../src/main/launcher/report.ts";
import { findTemporal } from "./binary.ts";
import { prepareNamespace } from "./namespace.ts";

export interface TemporalOptions {
  dataDir: string;
  port: number;
  uiPort: number;
  namespace: string;
  env: NodeJS.ProcessEnv;
  report: Reporter;
}

/** A single-node Temporal server with its UI, on 127.0.0.1, that keeps everything in one SQLite file. */
export async function createTemporalServer(options: TemporalOptions): Promise<{ part: Part; address: string; uiUrl: string }> {
  const binary = await findTemporal(options.env, options.report);
  mkdirSync(options.dataDir, { recursive: true });
  const address = `127.0.0.1:${options.port}`;
  const uiUrl = `http://127.0.0.1:${options.uiPort}`;
  const part = createProcessPart(
    {
      name: "temporal",
      address: `${address}, UI ${uiUrl}`,
      command: () => ({ file: binary, args: serverArguments(options), env: serverEnvironment(options.env), cwd: options.dataDir }),
      async ready() {
        await prepare(address, options.namespace, 5_000);
        // Histories hold people's addresses. The server wants to make the file itself; SQLite gives its companions the file's mode.
        chmodSync(databaseFile(options), 0o600);
        return true;
      },
      graceMs: 10_000,
    },
    options,
  );
  return { part, address, uiUrl };
}

/** Checks that a server answers at `address`, and makes the namespace and search attributes where they are missing. */
export async function prepare(address: string, namespace: string, timeoutMs: number): Promise<true> {
  const connection = await Connection.connect({ address, connectTimeout: Math.min(timeoutMs, 1_000) });
  try {
    await prepareNamespace({ connection, namespace, raise: true, timeoutMs });
    return true;
  } finally {
    await connection.close();
  }
}

const databaseFile = (options: TemporalOptions): string => path.join(options.dataDir, "temporal.db");

function serverArguments(options: TemporalOptions): string[] {
  return [
    "server",
    "start-dev",
    "--ip",
    "127.0.0.1",
    "--port",
    String(options.port),
    "--ui-port",
    String(options.uiPort),
    "--db-filename",
    databaseFile(options),
    "--log-level",
    "warn",
    // Frames of different people take turns, see docs/render.md: exactly within one partition of a queue. Older ones are still read.
    "--dynamic-config-value",
    "matching.enableFairness=true",
    "--dynamic-config-value",
    "matching.numTaskqueueWritePartitions=1",
  ];
}

/** Settings for the `temporal` command as a client must not reach the server, nor may two idle threads per core. */
function serverEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("TEMPORAL_")));
}
