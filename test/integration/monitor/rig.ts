import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { createBus, type Bus } from "../../../src/activity/index.ts";
import { errorHandler } from "../../../src/http/errorHandler.ts";
import { mountRoutes } from "../../../src/http/mount.ts";
import type { Principal } from "../../../src/http/principal.ts";
import { traceRequests } from "../../../src/http/trace.ts";
import { createMonitor, createMonitorPublisher } from "../../../src/monitor/index.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createMetrics } from "../../../src/platform/metrics.ts";
import { createRedis, type Redis } from "../../../src/platform/redis.ts";

import { waitFor } from "../../support/waitFor.ts";

/** The monitor of one copy on a real Redis, behind real HTTP; everybody is the operator whose name is the token. */
export interface MonitorRig {
  url: string;
  redis: Redis;
  /** A process that tells what happens in it. */
  events: Bus;
  /** Tells so many calls now. */
  tell(calls: number): void;
  /** How many were told. */
  readonly told: number;
  metrics(): Promise<string>;
  close(): Promise<void>;
}

export async function startMonitor(redisUrl: string): Promise<MonitorRig> {
  const log = createLogger({ level: "silent", name: "test" });
  const redis = createRedis({ url: redisUrl, log });
  await waitFor(() => redis.status === "ready");
  const metrics = createMetrics();
  const publisher = createMonitorPublisher({ redis, name: `rig-${process.pid}` });
  const events = createBus({ log });
  events.addSink(publisher);
  const principal = (userId: string): Principal => ({ userId, walletId: 0n, roles: ["operator"], emailVerified: true, sessionId: userId });
  const monitor = createMonitor({
    redis,
    log,
    metrics,
    checks: [],
    live: () => 0,
    backlog: async () => ({ pending: 0, oldestSeconds: 0 }),
    lastMinute: async () => ({ calls: { ok: 0, client_gone: 0, failed: 0 }, errors: {}, tokens: { input: 0, output: 0 } }),
    queues: async () => ({}),
    mostListeners: 1_000,
    wakeAll: async () => publisher.wake(),
    authenticate: async (req) => {
      const token = /^Bearer (.+)$/.exec(req.get("authorization") ?? "")?.[1];
      return token === undefined ? undefined : principal(token);
    },
    principalOf: async (userId) => principal(userId),
  });
  const app = express();
  app.use(traceRequests);
  app.use(mountRoutes(monitor.routes, { authenticate: async () => undefined, idempotency: { once: (_request, run) => run() } }));
  app.use(errorHandler(log));
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 1_024, resolve));
  let told = 0;
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/admin/monitor/stream`,
    redis,
    events,
    tell(calls) {
      for (let i = 0; i < calls; i++) {
        told += 1;
        events.emit({
          kind: "call.ended",
          user_id: `user-${told % 50}`,
          request_id: `n-${told}`,
          ip: "192.0.2.1",
          call_id: `call-${told}`,
          key_id: "key",
          route: "/v1/chat/completions",
          model: `model-${told % 5}`,
          http_status: 200,
          error_code: null,
          error_class: null,
          duration_ms: 123.45,
          outcome: "ok",
          answer: "whole",
          provider: "provider",
          attempts: 1,
          first_byte_ms: 100,
          tokens: { input: 10, cached_input: 0, cache_write: 0, output: 20, reasoning: 0 },
          estimated: false,
          cost: "0.5",
          cached: false,
        });
      }
    },
    get told() {
      return told;
    },
    metrics: () => metrics.text(),
    async close() {
      monitor.stop();
      await events.stop(1_000);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      redis.disconnect();
    },
  };
}
