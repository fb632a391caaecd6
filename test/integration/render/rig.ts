import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import type { Client } from "@temporalio/client";
import express from "express";
import { createRenderActivities } from "../../../activities/render.ts";
import { createBus } from "../../../src/activity/index.ts";
import { errorHandler } from "../../../src/http/errorHandler.ts";
import { createExports } from "../../../src/http/exports.ts";
import { createIdempotency } from "../../../src/http/idempotency.ts";
import { mountRoutes } from "../../../src/http/mount.ts";
import { traceRequests } from "../../../src/http/trace.ts";
import { createLedger, type Budget, type Ledger } from "../../../src/ledger/index.ts";
import { startRenderNode, type RenderNode, type RenderNodeOptions } from "../../../src/main/render-node.ts";
import { startWorker, type RunningWorker } from "../../../src/main/worker-runtime.ts";
import { createNotify, createWebhookSender, startWebhookWorker, type Notify } from "../../../src/notify/index.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createMetrics } from "../../../src/platform/metrics.ts";
import { createPool, type Pool } from "../../../src/platform/postgres.ts";
import { createBlockingRedis } from "../../../src/platform/redis.ts";
import { createSecretBox } from "../../../src/platform/secrets.ts";
import { createTemporalLink } from "../../../src/platform/temporal.ts";
import {
  createCallbackDelivery,
  createEngines,
  createFilms,
  createRenderMetrics,
  createRenderSteps,
  createRenderWorkflows,
  createTasks,
  renderLimits,
  renderNodeRoutes,
  renderRoutes,
  watchTasks,
  type LiveMessage,
  type ProgramSettings,
  type RenderSteps,
} from "../../../src/render/index.ts";
import type { Tasks } from "../../../src/render/tasks.ts";
import { walletRoutes } from "../../../src/wallet/index.ts";
import { type Places, waitFor } from "../../support/stack.ts";
import type { Answer } from "./answers.ts";
import { personOf, type Person } from "./person.ts";
import { createKettle } from "./kettle.ts";
import { testFiles, type TestFiles } from "./files.ts";

export { prove, request, type Frame, type Page, type Task } from "./answers.ts";
export { exists } from "./files.ts";
export type { Person } from "./person.ts";

/** Render tasks on real servers: an api, workers of both queues in this process, files in a folder. */

/** Nodes of one process have no name of their own. */
const uniqueName = () => `node-${uuidv7()}`;

const silent = createLogger({ level: process.env["TEST_LOG_LEVEL"] ?? "silent", name: "test" });

export interface Rig {
  pool: Pool;
  ledger: Ledger;
  tasks: Tasks;
  steps: RenderSteps;
  files: TestFiles;
  client: Client;
  notify: Notify;
  messages: LiveMessage[];
  /** What a scrape of the process would read. */
  metrics(): Promise<string>;
  folder: string;
  person(credits?: string, limits?: Record<string, unknown>): Promise<Person>;
  /** Spend limits of people. */
  budgets: Map<string, Budget[]>;
  billing(): RunningWorker;
  /** A render node: a worker of the queue `render`. */
  node(more?: Partial<RenderNodeOptions>): RenderNode;
  close(): Promise<void>;
}

export interface RigOptions {
  places: Places;
  framesPerRun?: number;
  longestWaitMs?: number;
  workers?: boolean;
  /** Another address than the servers', to play an absent Temporal. */
  temporalAddress?: string;
  /** Queues of its own where two rigs share a namespace. */
  queues?: string;
  /** Callbacks are tried again after these. */
  pausesMs?: readonly number[];
  /** Engines that are programs of this machine. */
  programs?: ProgramSettings;
}

export async function startRig(options: RigOptions): Promise<Rig> {
  const { places, queues = "" } = options;
  const [billingQueue, renderQueue] = [`billing${queues}`, `render${queues}`];
  const pool = createPool({ url: places.databaseUrl, max: 20, name: "test", log: silent });
  const redis = createBlockingRedis({ url: places.redisUrl, log: silent });
  const ledger = createLedger({ pool, log: silent, tolerance: { percent: 10, micro: 0n } });
  const notify = createNotify({ redis, log: silent });
  const secretBox = createSecretBox([{ id: "test", secret: Buffer.alloc(32, 7) }]);
  const address = options.temporalAddress ?? places.temporalAddress;
  const temporal = createTemporalLink({ address, namespace: places.namespace, uiUrl: "http://ui.test", log: silent });
  const engines = new Map([
    ...createEngines({ simulate: true, ...(options.programs ? { programs: { ...options.programs, log: silent } } : {}) }),
    ["kettle", createKettle()],
  ]);
  const files = await testFiles();
  const folder = await mkdtemp(path.join(os.tmpdir(), "tollkeeper-render-"));
  await pool.query(
    `INSERT INTO render_prices (engine, version, per_frame, per_megasample, per_second, low_percent, normal_percent, high_percent)
     VALUES ('kettle', 1, 10000, 100, 10000, 80, 100, 150) ON CONFLICT DO NOTHING`,
  );
  const messages: LiveMessage[] = [];
  const budgets = new Map<string, Budget[]>();
  const budgetsOf = async (userId: string) => budgets.get(userId) ?? [];
  const bus = createBus();
  const registry = createMetrics();
  const metrics = createRenderMetrics(registry, bus);
  watchTasks(registry, pool);
  const publish = (message: LiveMessage) => void messages.push(message);
  const limits = new Map<string, Record<string, unknown>>();
  const workflows = createRenderWorkflows({
    client: temporal.client,
    taskQueue: billingQueue,
    renderQueue,
    ...(options.framesPerRun ? { framesPerRun: options.framesPerRun } : {}),
    ...(options.longestWaitMs ? { longestWaitMs: options.longestWaitMs } : {}),
  });
  const tasks = createTasks({
    pool,
    log: silent,
    ledger,
    workflows,
    engines,
    renderQueue,
    files,
    stores: true,
    secretBox,
    limitsOf: async (userId) => renderLimits(limits.get(userId) ?? {}),
    publish,
    emit: bus.emit,
    budgetsOf,
    allowPrivate: true,
  });
  const steps = createRenderSteps({
    pool,
    log: silent,
    ledger,
    engines,
    files,
    notify,
    publish,
    emit: bus.emit,
    metrics,
    budgetsOf,
    folder,
    ...(options.programs ? { video: createFilms({ ...options.programs, log: silent }) } : {}),
  });
  const sender = createWebhookSender({ allowPrivate: true, timeoutMs: 2_000 });
  const callbacks = createCallbackDelivery({
    pool,
    secretBox,
    sender,
    notify,
    ...(options.pausesMs ? { pausesMs: options.pausesMs } : {}),
  });
  const webhooks = startWebhookWorker({ redis, attempt: callbacks.attempt, log: silent });

  const app = express();
  app.set("query parser", "simple");
  app.use(traceRequests);
  app.use(
    mountRoutes(
      [
        ...renderRoutes({ pool, tasks, secretBox, temporal }),
        ...renderNodeRoutes({ pool }),
        ...walletRoutes({ pool, ledger, exports: createExports(), rate: 10_000_000n }),
      ],
      {
        idempotency: createIdempotency(pool),
        authenticate: async (req) => {
          const userId = req.get("x-user");
          if (!userId) return undefined;
          return {
            userId,
            walletId: BigInt(req.get("x-wallet") ?? 0),
            roles: req.get("x-roles") === "operator" ? ["operator"] : ["user"],
            emailVerified: true,
            sessionId: "test",
          };
        },
      },
    ),
  );
  app.use(errorHandler(silent));
  const server = http.createServer(app).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const workers: RunningWorker[] = [];
  const common = {
    address: places.temporalAddress,
    namespace: places.namespace,
    client: temporal.client,
    graceMs: 2_000,
    log: silent,
  };
  function keep<W extends RunningWorker>(started: W): W {
    workers.push(started);
    return started;
  }

  const rig: Rig = {
    pool,
    ledger,
    tasks,
    steps,
    files,
    client: temporal.client,
    notify,
    messages,
    metrics: () => registry.text(),
    folder,
    budgets,
    async person(credits = "1000", own = {}) {
      const id = uuidv7();
      const walletId = await ledger.ensureWallet(pool, { type: "user", id });
      await pool.query("INSERT INTO users (id, email, username, wallet_id) VALUES ($1, $2, $3, $4)", [
        id,
        `${id}@example.com`,
        `u${id.replaceAll("-", "").slice(8)}`,
        walletId,
      ]);
      limits.set(id, own);
      const call: Person["call"] = async <T>(method: string, where: string, body?: unknown, headers?: Record<string, string>) => {
        const response = await fetch(url + where, {
          method,
          headers: {
            "x-user": id,
            "x-wallet": walletId.toString(),
            ...(body === undefined ? {} : { "content-type": "application/json" }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        const text = await response.text();
        const parsed = (text.startsWith("{") ? JSON.parse(text) : {}) as Partial<Answer<T>>;
        const { data = {} as T, error = { code: "", details: [] }, message = "" } = parsed;
        return { status: response.status, text, data, error, message };
      };
      const person = personOf({ id, walletId, call, ledger, pool });
      if (credits !== "0") await person.credit(credits);
      return person;
    },
    billing: () => keep(startWorker({ ...common, taskQueue: billingQueue, activities: createRenderActivities({ steps }) })),
    node: (more = {}) =>
      keep(
        startRenderNode({
          pool,
          log: silent,
          steps,
          engines: engines.values(),
          queuePrefix: renderQueue,
          name: uniqueName(),
          slots: 8,
          memoryMb: 2_048,
          worker: common,
          ...more,
        }),
      ),
    async close() {
      for (const one of workers) await one.stop();
      server.closeAllConnections();
      server.close();
      await webhooks.close();
      await sender.close();
      await notify.close();
      redis.disconnect();
      await temporal.close();
      await ledger.close();
      await pool.end();
      for (const home of [folder, files.home]) await rm(home, { recursive: true, force: true });
    },
  };
  if (options.workers !== false) {
    const both = [rig.billing(), rig.node()];
    await waitFor(() => both.every(({ running }) => running), { timeoutMs: 30_000, message: "the workers" });
  }
  return rig;
}
