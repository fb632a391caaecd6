import { createTemporalServer } from "../../../temporal/server.ts";
import type { Addresses, Environment } from "./environment.ts";
import { givenPostgres, givenRedis, givenS3, givenTemporal } from "./given.ts";
import { isReplaced } from "./needs.ts";
import { PartMissing, type Part, type PartName } from "./part.ts";
import type { PortName } from "./ports.ts";
import { createPostgres } from "./postgres.ts";
import { createRedisServer } from "./redis.ts";
import type { Reporter } from "./report.ts";
import { createS3Server } from "./s3.ts";
import type { Secrets } from "./secrets.ts";

export interface ServersOptions {
  dataDir: string;
  env: Environment;
  report: Reporter;
  wanted: readonly PartName[];
  ports: Partial<Record<PortName, number>>;
  secrets: Secrets;
  namespace: string;
  durable?: boolean;
  redisDatabases?: number;
  /** Filled in as soon as each is known. */
  addresses: Addresses;
  bring: (part: Part) => Promise<void>;
}

/** Begins to start, or to check, those of Postgres, Redis, Temporal and the file storage that are wanted, all at once. */
export function startServers(options: ServersOptions): Promise<void>[] {
  const starts = { postgres, redis, temporal, s3 };
  return (Object.keys(starts) as (keyof typeof starts)[])
    .filter((name) => options.wanted.includes(name))
    .map((name) => starts[name](options));
}

async function postgres({ dataDir, env, report, ports, secrets, durable = true, addresses, bring }: ServersOptions): Promise<void> {
  if (isReplaced("postgres", env)) return bring(givenPostgres(env["DATABASE_URL"]!));
  const made = await createPostgres({ dataDir, port: ports.postgres!, password: secrets.postgresPassword, durable, env, report });
  addresses.databaseUrl = made.url;
  return bring(made.part);
}

async function redis({ dataDir, env, report, ports, redisDatabases, addresses, bring }: ServersOptions): Promise<void> {
  if (isReplaced("redis", env)) return bring(givenRedis(env["REDIS_URL"]!));
  const databases = redisDatabases === undefined ? {} : { databases: redisDatabases };
  const made = await createRedisServer({ dataDir, port: ports.redis!, env, report, ...databases });
  addresses.redisUrl = made.url;
  return bring(made.part);
}

async function temporal({ dataDir, env, report, ports, namespace, addresses, bring }: ServersOptions): Promise<void> {
  if (isReplaced("temporal", env)) return bring(givenTemporal(env, namespace));
  const made = await createTemporalServer({ dataDir, port: ports.temporal!, uiPort: ports.temporal_ui!, namespace, env, report });
  addresses.temporalAddress = made.address;
  addresses.temporalUiUrl ??= made.uiUrl;
  return bring(made.part);
}

/** Everything but files works without it, so a machine that cannot have one is told and goes on. */
async function s3({ dataDir, env, report, ports, secrets, addresses, bring }: ServersOptions): Promise<void> {
  if (isReplaced("s3", env)) return bring(givenS3((env["S3_ENDPOINT"] ?? env["OSS_ENDPOINT"])!));
  try {
    const keys = { accessKey: secrets.s3AccessKey, secretKey: secrets.s3SecretKey };
    const made = await createS3Server({ dataDir, port: ports.s3!, ...keys, env, report });
    addresses.s3Url = made.url;
    await bring(made.part);
  } catch (error) {
    if (!(error instanceof PartMissing)) throw error;
    for (const line of error.message.split("\n")) report.line("s3", line);
  }
}
