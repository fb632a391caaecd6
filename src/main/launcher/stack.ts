import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { createTemporalServer } from "../../../temporal/server.ts";
import { type Endpoints, removeEndpoints, writeEndpoints } from "./endpoints.ts";
import { type Addresses, type Environment, partEnvironment, withoutEmpty } from "./environment.ts";
import { givenPostgres, givenRedis, givenTemporal } from "./given.ts";
import { takeLock } from "./lock.ts";
import { createNodePart, type NodePartName } from "./node-parts.ts";
import { type Part, PART_NAMES, type PartName } from "./part.ts";
import { choosePorts, type PortName } from "./ports.ts";
import { createPostgres, outsideOf } from "./postgres.ts";
import { endOrphans } from "./records.ts";
import { createRedisServer } from "./redis.ts";
import { type Reporter, silent } from "./report.ts";
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

/** The variable that replaces a part. */
const REPLACED_BY: Partial<Record<PartName, string>> = {
  postgres: "DATABASE_URL",
  redis: "REDIS_URL",
  temporal: "TEMPORAL_ADDRESS",
  inbox: "SMTP_URL",
  sandbox: "EPAY_URL",
};

const PORTS: Record<PartName, PortName[]> = {
  api: ["api"],
  worker: ["worker"],
  upstream: ["upstream"],
  sandbox: ["sandbox"],
  inbox: ["inbox", "smtp"],
  temporal: ["temporal", "temporal_ui"],
  redis: ["redis"],
  postgres: ["postgres"],
};

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
      names: wanted.filter(has).flatMap((name) => PORTS[name]),
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

    const starts: Promise<void>[] = [];
    if (has("postgres")) {
      const made = createPostgres({
        dataDir,
        port: ports.postgres!,
        password: secrets.postgresPassword,
        durable: options.durable ?? true,
        env,
        report,
      });
      starts.push(made.then(({ part, url }) => ((addresses.databaseUrl = url), bring(part))));
    } else if (wanted.includes("postgres")) starts.push(bring(givenPostgres(env["DATABASE_URL"]!)));
    if (has("redis")) {
      const made = createRedisServer({
        dataDir,
        port: ports.redis!,
        env,
        report,
        ...(options.redisDatabases ? { databases: options.redisDatabases } : {}),
      });
      starts.push(made.then(({ part, url }) => ((addresses.redisUrl = url), bring(part))));
    } else if (wanted.includes("redis")) starts.push(bring(givenRedis(env["REDIS_URL"]!)));
    if (has("temporal")) {
      const made = createTemporalServer({ dataDir, port: ports.temporal!, uiPort: ports.temporal_ui!, namespace, env, report });
      starts.push(
        made.then(({ part, address, uiUrl }) => {
          addresses.temporalAddress = address;
          addresses.temporalUiUrl ??= uiUrl;
          return bring(part);
        }),
      );
    } else if (wanted.includes("temporal")) starts.push(bring(givenTemporal(env, namespace)));
    if (has("inbox")) starts.push(node("inbox", { SMTP_PORT: String(ports.smtp) }));
    if (has("sandbox")) starts.push(node("sandbox"));
    if (has("upstream")) starts.push(node("upstream"));
    await Promise.all(starts);

    const host: Environment = env["HOST"] ? { HOST: env["HOST"] } : {};
    await Promise.all([has("api") ? node("api", host) : undefined, has("worker") ? node("worker", host) : undefined]);

    const settings = childEnv();
    const endpoints = endpointsOf(ports, addresses, settings, namespace);
    if (ended || signal?.aborted) throw new Error("stopped while starting");
    writeEndpoints(dataDir, endpoints);
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

function isReplaced(name: PartName, env: Environment): boolean {
  const variable = REPLACED_BY[name];
  return variable !== undefined && env[variable] !== undefined;
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(new Error("stopped while starting"));
    signal?.addEventListener("abort", () => reject(new Error("stopped while starting")), { once: true });
  });
}

/** Those that use the others first, and gracefully; then the rest. One that fails to end does not keep the others. */
async function stopAll(parts: Part[]): Promise<void> {
  const first = parts.filter((part) => part.name === "api" || part.name === "worker");
  const rest = parts.filter((part) => !first.includes(part));
  const results = [
    ...(await Promise.allSettled(first.map((part) => part.stop()))),
    ...(await Promise.allSettled(rest.map((part) => part.stop()))),
  ];
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

function endpointsOf(ports: Partial<Record<PortName, number>>, addresses: Addresses, env: Environment, namespace: string): Endpoints {
  const at = (port: number | undefined) => (port === undefined ? undefined : `http://127.0.0.1:${port}`);
  const endpoints = {
    api: at(ports.api),
    worker: at(ports.worker),
    temporal: addresses.temporalAddress,
    temporal_ui: addresses.temporalUiUrl,
    inbox: at(ports.inbox),
    sandbox: at(ports.sandbox),
    upstream: at(ports.upstream),
    admin: { email: env["ADMIN_EMAIL"] ?? "", password: env["ADMIN_PASSWORD"] ?? "" },
    sandbox_keys: { epay: { pid: env["EPAY_PID"] ?? "", key: env["EPAY_KEY"] ?? "" } },
    database_url: addresses.databaseUrl,
    redis_url: addresses.redisUrl,
    smtp_url: env["SMTP_URL"],
    namespace,
  };
  return JSON.parse(JSON.stringify(endpoints)) as Endpoints;
}

/** Also removes what had to be kept outside the folder. */
function removeData(dataDir: string): void {
  for (const folder of [outsideOf(dataDir), dataDir]) if (folder) rmSync(folder, { recursive: true, force: true });
}

/** Ends the processes and removes the data of a stack whose launcher is gone. */
export async function destroyRemains(dataDir: string): Promise<void> {
  await endOrphans(dataDir, silent);
  removeData(dataDir);
}
