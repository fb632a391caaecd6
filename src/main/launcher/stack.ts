import { mkdirSync } from "node:fs";
import path from "node:path";
import { removeData, stopAll } from "./ending.ts";
import { type Endpoints, endpointsOf, removeEndpoints, writeEndpoints } from "./endpoints.ts";
import { type Addresses, type Environment, partEnvironment, withoutEmpty } from "./environment.ts";
import { takeLock } from "./lock.ts";
import { createNodePart, type NodePartName } from "./node-parts.ts";
import { isReplaced, PORTS_OF } from "./needs.ts";
import { type Part, PART_NAMES, type PartName } from "./part.ts";
import { choosePorts, type PortName } from "./ports.ts";
import { endOrphans } from "./records.ts";
import { type Reporter, silent } from "./report.ts";
import { startServers } from "./servers.ts";
import { loadSecrets } from "./secrets.ts";

export interface StackOptions {
  /** Data, logs, secrets, the lock. One stack at a time per folder. */
  dataDir: string;
  /** All unless told. */
  parts?: readonly PartName[];
  /** The environment: it names parts that are not to be started, and wins over what the launcher would choose for them. */
  env: NodeJS.ProcessEnv;
  /** The ports a person expects (3000, 8233, …) instead of any. */
  usualPorts?: boolean;
  /** False: Postgres does not wait for the disk. */
  durable?: boolean;
  redisDatabases?: number;
  report?: Reporter;
  /** Gives the start up: what was started is ended, and `startStack` rejects. */
  signal?: AbortSignal;
}

export interface Stack {
  readonly dataDir: string;
  readonly endpoints: Endpoints;
  /** What the Node parts are started with. */
  readonly env: Environment;
  /** Throws when this stack has no such part. */
  part(name: PartName): Part;
  /** Ends what was started, api and worker first; the data stays. */
  stop(): Promise<void>;
  /** Ends it and removes the data. */
  destroy(): Promise<void>;
}

/**
 * Starts the parts, those that need nothing at once, api and worker when their servers answer. Throws, with everything ended
 * that was started, when one of them cannot be had; {@link AlreadyRunning} when the folder is in use.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { report = silent, signal } = options;
  const dataDir = path.resolve(options.dataDir);
  const env = withoutEmpty(options.env);
  // Others may pass through, as Postgres' own user must, but not look around.
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const unlock = takeLock(dataDir);
  const parts = new Map<PartName, Part>();
  let ended = false;

  async function stop(): Promise<void> {
    ended = true;
    removeEndpoints(dataDir);
    await stopAll([...parts.values()]);
    unlock();
  }

  /** Starts a part, unless the stack was ended while it was being made. */
  async function bring(part: Part): Promise<void> {
    if (ended || signal?.aborted) throw new Error("stopped while starting");
    parts.set(part.name, part);
    await part.start();
  }

  const work = async (): Promise<Stack> => {
    await endOrphans(dataDir, report);
    const wanted = options.parts ?? PART_NAMES;
    const has = (name: PartName) => wanted.includes(name) && !isReplaced(name, env);
    const secrets = loadSecrets(dataDir);
    const ports = await choosePorts({
      names: wanted.filter(has).flatMap((name) => PORTS_OF[name]),
      usual: options.usualPorts ?? false,
      fixed: env["PORT"] ? { api: Number(env["PORT"]) } : {},
      dataDir,
      report,
    });
    const namespace = env["TEMPORAL_NAMESPACE"] ?? "default";
    const addresses: Addresses = {
      databaseUrl: env["DATABASE_URL"],
      redisUrl: env["REDIS_URL"],
      temporalAddress: env["TEMPORAL_ADDRESS"],
      temporalUiUrl: env["TEMPORAL_UI_URL"],
    };
    const childEnv = () => partEnvironment({ env, secrets, ports, addresses });
    const node = (name: NodePartName, more: Environment = {}) =>
      bring(createNodePart({ name, port: ports[name]!, env: { ...childEnv(), HOST: "127.0.0.1", ...more }, dataDir, report }));

    const starts = startServers({ ...options, dataDir, env, report, wanted, ports, secrets, namespace, addresses, bring });
    if (has("inbox")) starts.push(node("inbox", { SMTP_PORT: String(ports.smtp) }));
    if (has("sandbox")) starts.push(node("sandbox"));
    if (has("upstream")) starts.push(node("upstream"));
    if (has("dify")) starts.push(node("dify", webhookOf(ports)));
    await Promise.all(starts);

    const host: Environment = env["HOST"] ? { HOST: env["HOST"] } : {};
    await Promise.all([
      has("api") ? node("api", host) : undefined,
      has("worker") ? node("worker", { METRICS_PORT: String(ports.worker_metrics), ...host }) : undefined,
    ]);

    const settings = childEnv();
    const endpoints = endpointsOf(ports, addresses, settings, namespace);
    if (ended || signal?.aborted) throw new Error("stopped while starting");
    // It holds passwords: a convenience for development, nothing for a machine that serves people.
    if (settings["NODE_ENV"] !== "production") writeEndpoints(dataDir, endpoints);
    return {
      dataDir,
      endpoints,
      env: settings,
      part(name) {
        const part = parts.get(name);
        if (!part) throw new Error(`this stack has no ${name}`);
        return part;
      },
      stop,
      async destroy() {
        await stop();
        removeData(dataDir);
      },
    };
  };

  try {
    return await Promise.race([work(), aborted(signal)]);
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Where the demo Dify sends its webhooks. */
function webhookOf({ api }: Partial<Record<PortName, number>>): Environment {
  return api === undefined ? {} : { DIFY_WEBHOOK_URL: `http://127.0.0.1:${api}/api/dify/webhook` };
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(new Error("stopped while starting"));
    signal?.addEventListener("abort", () => reject(new Error("stopped while starting")), { once: true });
  });
}
