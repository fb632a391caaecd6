import { randomBytes } from "node:crypto";
import path from "node:path";
import { Connection } from "@temporalio/client";
import { Redis } from "ioredis";
import pg from "pg";
import { createLogger } from "../../src/platform/logger.ts";
import { migrate } from "../../src/platform/migrations.ts";
import { projectRoot } from "../../src/platform/root.ts";
import { prepareNamespace } from "../../temporal/namespace.ts";
import { atEnd } from "./cleanup.ts";
import { infra } from "./infra.ts";

/** New, separate places on the servers of the run. */

const unique = (prefix: string) => `${prefix}_${process.pid}_${randomBytes(4).toString("hex")}`;

async function asAdmin(statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: infra().databaseUrl });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}

function urlOf(name: string): string {
  const url = new URL(infra().databaseUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** A new database without any table, for tests of migrations. */
export async function emptyDatabase(): Promise<string> {
  const name = unique("test");
  await asAdmin(`CREATE DATABASE ${name}`);
  dropAtEnd(name);
  return urlOf(name);
}

function dropAtEnd(name: string): void {
  atEnd(() => asAdmin(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
}

let template: Promise<string> | undefined;

/** Copying files takes half the time of writing them to the log, but waits for a checkpoint: good only where that is cheap. */
const CHEAP_CHECKPOINT = "current_setting('fsync') = 'off' AND current_setting('server_version_num')::int >= 150000";

/** Returns what follows TEMPLATE in CREATE DATABASE. */
async function makeTemplate(): Promise<string> {
  const name = unique("template");
  await asAdmin(`CREATE DATABASE ${name}`);
  dropAtEnd(name);
  await migrate({ url: urlOf(name), folder: path.join(projectRoot, "migrations"), log: createLogger({ level: "silent", name: "test" }) });
  const [row] = await asAdmin(`SELECT ${CHEAP_CHECKPOINT} AS cheap`);
  return (row as { cheap: boolean }).cheap ? `${name} STRATEGY file_copy` : name;
}

/** A new database with every migration applied, copied from one that was migrated once in this run. */
export async function freshDatabase(): Promise<string> {
  template ??= makeTemplate();
  const name = unique("test");
  await asAdmin(`CREATE DATABASE ${name} TEMPLATE ${await template}`);
  dropAtEnd(name);
  return urlOf(name);
}

let taken = 0;

/** An empty numbered database of the run's Redis. */
export async function freshRedis(): Promise<string> {
  const url = new URL(infra().redisUrl);
  const redis = new Redis(url.href, { lazyConnect: true });
  try {
    await redis.connect();
    const answer = (await redis.config("GET", "databases")) as string[];
    const first = Number(url.pathname.slice(1) || 0);
    url.pathname = `/${(first + taken++) % Number(answer[1] ?? 16)}`;
    await redis.select(Number(url.pathname.slice(1)));
    await redis.flushdb();
    return url.href;
  } finally {
    redis.disconnect();
  }
}

/** A new Temporal namespace with the search attributes, ready to use. */
export async function freshNamespace(): Promise<string> {
  const namespace = unique("test").replaceAll("_", "-");
  const connection = await Connection.connect({ address: infra().temporalAddress });
  try {
    await prepareNamespace({ connection, namespace, retentionDays: 1 });
    return namespace;
  } finally {
    await connection.close();
  }
}
