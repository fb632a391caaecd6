import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { environmentSchema } from "../../src/config/index.ts";
import { readJson, writePrivateJson } from "../../src/main/launcher/files.ts";
import { destroyRemains } from "../../src/main/launcher/ending.ts";
import { identify, isAlive, type ProcessIdentity } from "../../src/main/launcher/processes.ts";
import { printer } from "../../src/main/launcher/report.ts";
import { type Stack, startStack } from "../../src/main/launcher/stack.ts";
import { projectRoot } from "../../src/platform/root.ts";
import { atEnd } from "./cleanup.ts";

/** The servers of a test run. */
export interface Infra {
  /** A database to make others from; its user may do everything. */
  databaseUrl: string;
  redisUrl: string;
  temporalAddress: string;
  temporalUiUrl: string | undefined;
}

const NAMES = { databaseUrl: "TEST_DATABASE_URL", redisUrl: "TEST_REDIS_URL", temporalAddress: "TEST_TEMPORAL_ADDRESS" } as const;
const UI_NAME = "TEST_TEMPORAL_UI_URL";
const REDIS_DATABASES = 512;

/** The stack with an S3 server that the run's setup has started, if it has. */
let ownS3: Stack | undefined;
export const infraS3 = (): Stack | undefined => (ownS3?.endpoints.s3 ? ownS3 : undefined);

/** The servers, which the run's setup has started or found in the environment. Throws in a run of unit tests, which has none. */
export function infra(): Infra {
  const read = (name: string) => {
    const value = process.env[name];
    if (!value)
      throw new Error(`${name} is not set: run with mocha and its configuration, so that test/support/hooks.ts starts the servers`);
    return value;
  };
  return {
    databaseUrl: read(NAMES.databaseUrl),
    redisUrl: read(NAMES.redisUrl),
    temporalAddress: read(NAMES.temporalAddress),
    temporalUiUrl: process.env[UI_NAME] || undefined,
  };
}

/** The folder of this run; removed at its end. */
export function runFolder(): string {
  return path.join(projectRoot, ".data", `test-${process.pid}`);
}

/** The environment for parts under test: what a developer's shell or `.env` sets for the product does not count. */
export function testEnvironment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !(name in environmentSchema.shape) && !name.startsWith("TEST_"));
  return { ...Object.fromEntries(inherited), ...more };
}

/** Starts Postgres, Redis and Temporal for this run, unless the environment names all three. Removes what killed runs left. */
export async function startInfra(): Promise<void> {
  await sweep();
  mkdirSync(runFolder(), { recursive: true, mode: 0o711 });
  writePrivateJson(path.join(runFolder(), "owner.json"), identify(process.pid));
  atEnd(() => rmSync(runFolder(), { recursive: true, force: true }));
  if (Object.values(NAMES).every((name) => process.env[name])) return;
  const stack = await startStack({
    dataDir: path.join(runFolder(), "infra"),
    // The S3 server is here so that building it, the first time, is nobody's time limit.
    parts: ["postgres", "redis", "temporal", "s3"],
    env: testEnvironment(),
    durable: false,
    redisDatabases: REDIS_DATABASES,
    report: printer((text) => void process.stdout.write(text)),
  });
  atEnd(() => stack.destroy());
  process.env[NAMES.databaseUrl] = stack.endpoints.database_url;
  process.env[NAMES.redisUrl] = stack.endpoints.redis_url;
  process.env[NAMES.temporalAddress] = stack.endpoints.temporal;
  process.env[UI_NAME] = stack.endpoints.temporal_ui;
  ownS3 = stack;
}

/** A run that begins makes its folder a moment before it signs it. */
function isYoung(folder: string): boolean {
  return Date.now() - statSync(folder).mtimeMs < 60_000;
}

/** Ends and removes what runs that were killed have left; runs that are alive are not touched. */
async function sweep(): Promise<void> {
  const data = path.join(projectRoot, ".data");
  if (!existsSync(data)) return;
  for (const name of readdirSync(data).filter((entry) => /^test-\d+$/.test(entry))) {
    const folder = path.join(data, name);
    const owner = readJson<ProcessIdentity>(path.join(folder, "owner.json"));
    if (owner ? isAlive(owner) : isYoung(folder)) continue;
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) await destroyRemains(path.join(folder, entry.name));
    }
    rmSync(folder, { recursive: true, force: true });
  }
}
