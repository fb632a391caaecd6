import { rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import pg from "pg";
import { customer, operator, pricedModel, type Person, type Product } from "../support/people.ts";
import { freshDatabase, infra, startStack, type PartName, type Stack } from "../support/stack.ts";

/** Two processes of the api on one Postgres and one Redis that is theirs alone. */
export interface Copies {
  stacks: Stack[];
  admin: Person;
  urls: string[];
  db: pg.Client;
  /** A customer with wide limits unless told otherwise. */
  customer(limits?: object): Promise<Person & { key: string }>;
  model(upstream: string): Promise<string>;
  killRedis(): Promise<void>;
  /** Starts it again with nothing in it. */
  startRedis(): Promise<void>;
  destroy(): Promise<void>;
}

const SHARED = ["JWT_SECRETS", "HASH_SECRET", "ENCRYPTION_KEYS", "ADMIN_EMAIL", "ADMIN_PASSWORD"] as const;
const WIDE = { requests_per_minute: 1_000_000, max_parallel: 100_000 };

/** `more` runs beside the first of them. */
export async function startCopies(env: NodeJS.ProcessEnv = {}, more: readonly PartName[] = []): Promise<Copies> {
  const { temporalAddress } = infra();
  const places = { DATABASE_URL: await freshDatabase(), TEMPORAL_ADDRESS: temporalAddress, TRUST_PROXY: "1", ...env };
  const first = await startStack({ parts: ["redis", "api", ...more], env: places });
  const secrets = Object.fromEntries(SHARED.map((name) => [name, first.env[name]]));
  const second = await startStack({ parts: ["api"], env: { ...places, ...secrets, REDIS_URL: first.endpoints.redis_url } });
  const at = first.endpoints as unknown as Product;
  const admin = await operator(at);
  const redis = first.part("redis");
  const db = new pg.Client(places.DATABASE_URL);
  await db.connect();
  return {
    stacks: [first, second],
    admin,
    db,
    urls: [first.endpoints.api!, second.endpoints.api!],
    customer: (limits) => customer(at, admin, { credits: "1000000", limits: { ...WIDE, ...limits } }),
    model: (upstream) => pricedModel(admin, upstream, { input: "1", output: "1" }),
    killRedis: () => redis.kill("SIGKILL"),
    async startRedis() {
      rmSync(path.join(first.dataDir, "redis", "appendonlydir"), { recursive: true, force: true });
      await redis.start();
    },
    async destroy() {
      await db.end();
      await second.destroy();
      await first.destroy();
    },
  };
}

/** A provider that counts what runs and answers at once, or holds every call until it is told to go on. */
export interface CountingUpstream {
  url: string;
  /** Calls under way now, and the most there ever were since the last `reset`. */
  readonly running: number;
  readonly most: number;
  hold(): void;
  go(): void;
  reset(): void;
  close(): Promise<void>;
}

const ANSWER = JSON.stringify({
  id: "c",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content: "a" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 4, completion_tokens: 4, total_tokens: 8 },
});

export async function startCountingUpstream(): Promise<CountingUpstream> {
  const open = new Set<ServerResponse>();
  let holding = false;
  let most = 0;
  const answer = (res: ServerResponse): void => void res.writeHead(200, { "content-type": "application/json" }).end(ANSWER);
  const server = createServer((req, res) => {
    req.resume().on("end", () => {
      open.add(res);
      most = Math.max(most, open.size);
      res.on("close", () => open.delete(res));
      if (!holding) answer(res);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 4_096, resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get running() {
      return open.size;
    },
    get most() {
      return most;
    },
    hold: () => void (holding = true),
    go() {
      holding = false;
      for (const res of open) answer(res);
    },
    reset: () => void (most = open.size),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
