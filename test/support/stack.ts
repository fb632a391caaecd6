import path from "node:path";
import type { Endpoints } from "../../src/main/launcher/endpoints.ts";
import type { PartName } from "../../src/main/launcher/part.ts";
import { type Stack, startStack as start } from "../../src/main/launcher/stack.ts";
import { atEnd } from "./cleanup.ts";
import { freshDatabase, freshNamespace, freshRedis } from "./fresh.ts";
import { infra, runFolder, testEnvironment } from "./infra.ts";

/**
 * What tests get their servers and the product from. Everything is real and on free ports; several runs at once do not meet.
 *
 * - `infra()`: addresses of the run's Postgres, Redis and Temporal. They are started once, before the first test, by hooks.ts,
 *   or taken from TEST_DATABASE_URL, TEST_REDIS_URL and TEST_TEMPORAL_ADDRESS when all three are set (a quick way to run one
 *   file again and again). A run of unit tests only (test/unit) starts nothing.
 * - `freshDatabase()`: URL of a new migrated database. `emptyDatabase()`: without tables. `freshRedis()`: URL of an empty
 *   numbered database. `freshNamespace()`: a new Temporal namespace with the search attributes.
 * - `useStack()`: call it in a `describe`; it makes the above in a `before` hook for tests that build services themselves.
 * - `product()`: api, worker, inbox, sandbox and demo upstream as processes, started once per run by the first test that asks.
 *   Tests share it: each makes its own users, models and keys.
 * - `ownProduct({ env })`: the same with other settings, on the run's servers; the caller stops it.
 * - `startStack({ env, parts })`: servers and product of its own, for tests that stop, kill and start parts:
 *   `stack.part("worker").kill("SIGKILL")`, `.stop()`, `.start()`; the same port and data again. The caller destroys it.
 * - `waitFor(condition, { timeoutMs, message })`: returns the first true value; tests never wait for a fixed time.
 *
 * What a test forgets is ended at the end of the run, also after a failure or Ctrl-C; `atEnd(task)` adds to that.
 */
export { atEnd } from "./cleanup.ts";
export { emptyDatabase, freshDatabase, freshNamespace, freshRedis } from "./fresh.ts";
export { infra } from "./infra.ts";
export { waitFor } from "./waitFor.ts";
export type { PartName } from "../../src/main/launcher/part.ts";
export type { Stack } from "../../src/main/launcher/stack.ts";

/** A stack in which everything runs: no address is missing. */
export type Product = Required<Endpoints> & { stack: Stack };

/** Settings under which the product is tested unless a test gives its own. */
const TEST_SETTINGS = { LOG_LEVEL: "info", REQUESTS_PER_MINUTE: "10000", SHUTDOWN_GRACE: "5s" };

let folders = 0;
const nextFolder = (name: string) => path.join(runFolder(), `${name}-${++folders}`);

/** A stack with servers of its own and everything in it unless `parts` says otherwise. */
export async function startStack(
  options: { env?: NodeJS.ProcessEnv; parts?: readonly PartName[]; durable?: boolean } = {},
): Promise<Stack> {
  const { env, ...rest } = options;
  const stack = await start({ ...rest, dataDir: nextFolder("stack"), env: testEnvironment({ ...TEST_SETTINGS, ...env }) });
  atEnd(() => stack.destroy());
  return stack;
}

/** The product on the run's servers, with a database, a Redis database and a namespace of its own. `stack.stop()` ends it. */
export async function ownProduct(options: { env?: NodeJS.ProcessEnv } = {}): Promise<Product> {
  const { temporalAddress, temporalUiUrl } = infra();
  const [database, redis, namespace] = await Promise.all([freshDatabase(), freshRedis(), freshNamespace()]);
  const stack = await startStack({
    env: {
      DATABASE_URL: database,
      REDIS_URL: redis,
      TEMPORAL_ADDRESS: temporalAddress,
      TEMPORAL_NAMESPACE: namespace,
      TEMPORAL_UI_URL: temporalUiUrl ?? "http://127.0.0.1:8233",
      ...options.env,
    },
  });
  return { ...(stack.endpoints as Required<Endpoints>), stack };
}

let shared: Promise<Product> | undefined;

/** The one product that tests share. The first call starts it. */
export function product(): Promise<Product> {
  return (shared ??= ownProduct());
}

/** Places on the run's servers for one `describe`. The fields may be read in hooks and tests, not before. */
export interface Places {
  databaseUrl: string;
  redisUrl: string;
  temporalAddress: string;
  /** Only when asked for. */
  namespace: string;
}

/** Registers a `before` hook that makes a migrated database, an empty Redis database and, when asked, a namespace. */
export function useStack(options: { namespace?: boolean } = {}): Places {
  const places = {} as Places;
  before(async () => {
    const [databaseUrl, redisUrl, namespace] = await Promise.all([
      freshDatabase(),
      freshRedis(),
      options.namespace ? freshNamespace() : "default",
    ]);
    Object.assign(places, { databaseUrl, redisUrl, namespace, temporalAddress: infra().temporalAddress });
  });
  return places;
}
