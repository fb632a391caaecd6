import type { AddressInfo } from "node:net";
import express from "express";
import { errorHandler } from "../../../src/http/errorHandler.ts";
import { mountRoutes } from "../../../src/http/mount.ts";
import type { Principal } from "../../../src/http/principal.ts";
import { createHttpServer } from "../../../src/http/server.ts";
import { traceRequests } from "../../../src/http/trace.ts";
import { serveUpgrades } from "../../../src/http/upgrade.ts";
import {
  createLive,
  createLivePublisher,
  createPublisherMetrics,
  LIVE_PATH,
  type Live,
  type LiveMessage,
} from "../../../src/live/index.ts";
import { appError } from "../../../src/platform/errors.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createMetrics } from "../../../src/platform/metrics.ts";
import type { Pool } from "../../../src/platform/postgres.ts";
import { createRedis, type Redis } from "../../../src/platform/redis.ts";
import { waitFor } from "../../support/waitFor.ts";

/** Who may do what, of all copies of a rig; everybody is whom the token names. */
export interface World {
  /** Users whose sessions have ended. */
  ended: Set<string>;
  /** Tasks by their owner. */
  tasks: Map<string, string>;
  wallets: Map<bigint, { balance: bigint; held: bigint; lastSeq: bigint }>;
  announce(userId: string): void;
}

/** One copy of the api with live push, on a real Redis and behind real HTTP. */
export interface LiveRig {
  url: string;
  live: Live;
  redis: Redis;
  publish(message: LiveMessage): void;
  metrics(): Promise<string>;
  close(): Promise<void>;
}

export interface RigOptions {
  mostConnections?: number;
  mostWaiting?: number;
  keepMost?: number;
  turnMs?: number;
  corsOrigins?: string[];
}

export function createWorld(): World & { listeners: ((userId: string) => void)[] } {
  const listeners: ((userId: string) => void)[] = [];
  return {
    ended: new Set(),
    tasks: new Map(),
    wallets: new Map(),
    listeners,
    announce: (userId) => listeners.forEach((listener) => listener(userId)),
  };
}

let copies = 0;

export async function startLive(redisUrl: string, world: ReturnType<typeof createWorld>, options: RigOptions = {}): Promise<LiveRig> {
  const log = createLogger({ level: "silent", name: "test" });
  const redis = createRedis({ url: redisUrl, log });
  await waitFor(() => redis.status === "ready");
  const metrics = createMetrics();
  const copy = `rig-${process.pid}-${++copies}`;
  const publisher = createLivePublisher({
    redis,
    name: copy,
    keepMost: options.keepMost ?? 20_000,
    metrics: createPublisherMetrics(metrics),
    log,
  });
  const principalOf = async (userId: string): Promise<Principal & { sessionId: string }> => {
    if (world.ended.has(userId)) throw appError("unauthenticated", { message: "This session has ended" });
    return { userId, walletId: BigInt(userId.length), roles: ["user"], emailVerified: true, sessionId: userId };
  };
  const app = express();
  const server = createHttpServer(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 4_096, resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const live = createLive({
    redis,
    log,
    metrics,
    copy,
    pool: undefined as unknown as Pool,
    publish: publisher.publish,
    publicUrl: "https://api.example.com",
    corsOrigins: options.corsOrigins ?? [],
    mostConnections: options.mostConnections ?? 100_000,
    mostWaiting: options.mostWaiting ?? 1024 * 1024,
    ...(options.turnMs === undefined ? {} : { turnMs: options.turnMs }),
    invalidation: { on: (_topic, listener) => void world.listeners.push(listener), fresh: true },
    authenticateToken: principalOf,
    principalOf,
    count: () => undefined,
    ownsTask: async (userId, taskId) => world.tasks.get(taskId) === userId,
    livingSessions: async (ids) => new Set(ids.filter((id) => !world.ended.has(id))),
    userExists: async () => true,
    states: async (ids) => ids.flatMap((walletId) => (world.wallets.has(walletId) ? [{ walletId, ...world.wallets.get(walletId)! }] : [])),
    balance: async (walletId) => {
      const { balance, held } = world.wallets.get(walletId)!;
      return { total: balance, held, available: balance - held, shortfall: 0n };
    },
  });
  serveUpgrades(server, new Map([[LIVE_PATH, live.upgrade]]));
  app.use(traceRequests);
  app.use(
    mountRoutes(live.routes, {
      authenticate: async (req) => {
        const token = /^Bearer (.+)$/.exec(req.get("authorization") ?? "")?.[1];
        return token === undefined ? undefined : principalOf(token);
      },
      idempotency: { once: (_request, run) => run() },
    }),
  );
  app.post("/echo", express.text(), (req, res) => void res.send(req.body));
  app.use(errorHandler(log));
  return {
    url,
    live,
    redis,
    publish: publisher.publish,
    metrics: () => metrics.text(),
    async close() {
      await live.stop();
      await publisher.stop(1_000);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      redis.disconnect();
    },
  };
}

/** Where somebody connects with a token. */
export const wsOf = (rig: LiveRig, userId: string, query = ""): string => `${rig.url}${LIVE_PATH}?token=${userId}${query}`;
