import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@temporalio/client";
import {
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type ActivityInterceptorsFactory,
  type ActivitySlotInfo,
  type CustomSlotSupplier,
} from "@temporalio/worker";
import type { Logger } from "../platform/logger.ts";
import { workflowBundle } from "../../temporal/bundle.ts";

export interface WorkerOptions {
  address: string;
  namespace: string;
  tls?: boolean | undefined;
  apiKey?: string | undefined;
  /** Release of this code. When set, workflows stay on the release that began them (Worker Versioning). */
  buildId?: string | undefined;
  taskQueue: string;
  activities: object;
  /** False for a queue of activities alone. */
  workflows?: boolean | undefined;
  /** Gives out slots for activities; as many as the SDK sees fit unless told. */
  activitySlots?: CustomSlotSupplier<ActivitySlotInfo> | undefined;
  client: Client;
  /** Runs before each attempt to poll: a worker cannot begin on a namespace that is not there. */
  beforePolling?: (() => Promise<void>) | undefined;
  /** Runs once it polls, until it succeeds: schedules, long-lived workflows. */
  onConnected?: (() => Promise<void>) | undefined;
  /** How long a stop waits for running activities. */
  graceMs: number;
  log: Logger;
  /** Where Temporal's runtime serves its metrics, as `host:port`; nowhere unless told. */
  metricsAddress?: string | undefined;
  /** Run around every activity. */
  activityInterceptors?: ActivityInterceptorsFactory[];
}

export interface RunningWorker {
  /** True while this worker polls Temporal. */
  readonly running: boolean;
  /** Stops polling, tells running activities, waits for them. */
  stop(): Promise<void>;
}

/** Temporal's name for all releases of this worker together. */
const DEPLOYMENT = "tollkeeper";
const MAX_PAUSE_MS = 5_000;
const LEVELS = { TRACE: "trace", DEBUG: "debug", INFO: "info", WARN: "warn", ERROR: "error" } as const;

/** Of a worker that gives out its own slots for activities. */
const NO_OTHER_WORK = {
  workflowTaskSlotSupplier: { type: "fixed-size", numSlots: 2 },
  localActivityTaskSlotSupplier: { type: "fixed-size", numSlots: 1 },
  nexusTaskSlotSupplier: { type: "fixed-size", numSlots: 1 },
} as const;

let installed = false;

/** Everything Temporal's runtime, workers and workflows log goes through pino, once per process. Signals are left to the process. */
export function installRuntime(log: Logger, metricsAddress?: string): void {
  if (installed) return;
  installed = true;
  const logger = new DefaultLogger("INFO", ({ level, message, meta }) => {
    const { sdkComponent, error, ...fields } = (meta ?? {}) as Record<string, unknown>;
    // The worker's own state changes and each workflow's start and end are of no use to an operator.
    const line = level === "INFO" && sdkComponent !== "workflow" && sdkComponent !== "activity" ? "debug" : LEVELS[level];
    log[line]({ ...fields, component: sdkComponent, ...(error ? { err: error } : {}) }, message);
  });
  Runtime.install({
    logger,
    shutdownSignals: [],
    ...(metricsAddress
      ? {
          telemetryOptions: {
            metrics: {
              prometheus: { bindAddress: metricsAddress, countersTotalSuffix: true, useSecondsForDurations: true, unitSuffix: true },
            },
          },
        }
      : {}),
  });
}

/**
 * Runs a Temporal worker for as long as the process lives. Never fails because Temporal is away: it tries again with growing pauses, and
 * a worker that ended with an error is replaced.
 */
export function startWorker(options: WorkerOptions): RunningWorker {
  const { log } = options;
  const stopping = new AbortController();
  let worker: Worker | undefined;
  installRuntime(log, options.metricsAddress);

  async function runOnce(): Promise<void> {
    const connection = await NativeConnection.connect({
      address: options.address,
      tls: options.tls ?? false,
      ...(options.apiKey ? { apiKey: options.apiKey } : {}),
    });
    try {
      await options.beforePolling?.();
      const created = await createWorker(connection, options);
      if (stopping.signal.aborted) return;
      const run = created.run();
      worker = created;
      log.info({ task_queue: options.taskQueue, build_id: options.buildId }, "the worker polls temporal");
      void prepare();
      await run;
    } finally {
      worker = undefined;
      await connection.close().catch(() => undefined);
    }
  }

  /** What needs the server to answer; tried until it does. */
  async function prepare(): Promise<void> {
    for (let attempt = 0; isPolling() && !stopping.signal.aborted; attempt++) {
      try {
        if (options.buildId) await promote(options.client, options.buildId);
        await options.onConnected?.();
        return;
      } catch (error) {
        if (attempt === 0) log.warn({ err: error }, "temporal is not ready for schedules and long-lived workflows yet");
        await pause(attempt);
      }
    }
  }

  const isPolling = () => worker !== undefined;
  const pause = (attempt: number) =>
    delay(Math.min(200 * 2 ** Math.min(attempt, 6), MAX_PAUSE_MS), undefined, { signal: stopping.signal }).catch(() => undefined);

  async function loop(): Promise<void> {
    for (let attempt = 0; !stopping.signal.aborted; attempt++) {
      const began = Date.now();
      try {
        await runOnce();
      } catch (error) {
        if (Date.now() - began > 60_000) attempt = 0;
        if (attempt === 0) log.warn({ err: error }, "temporal is not reachable, the worker tries again");
        await pause(attempt);
      }
    }
  }

  const ended = loop();
  return {
    get running() {
      return worker?.getState() === "RUNNING";
    },
    async stop() {
      stopping.abort();
      if (worker?.getState() === "RUNNING") worker.shutdown();
      await ended;
    },
  };
}

async function createWorker(connection: NativeConnection, options: WorkerOptions): Promise<Worker> {
  return Worker.create({
    connection,
    namespace: options.namespace,
    taskQueue: options.taskQueue,
    activities: options.activities,
    interceptors: { activity: options.activityInterceptors ?? [] },
    ...(options.workflows === false ? {} : { workflowBundle: await workflowBundle() }),
    ...(options.activitySlots === undefined ? {} : { tuner: { ...NO_OTHER_WORK, activityTaskSlotSupplier: options.activitySlots } }),
    // A cancelled activity hears of it with its next heartbeat: that is not to wait.
    maxHeartbeatThrottleInterval: "1s",
    // Activities are told at once that the process stops; each ends at its next safe point or runs to its end.
    shutdownGraceTime: 0,
    shutdownForceTime: options.graceMs,
    maxCachedWorkflows: 500,
    workflowTaskPollerBehavior: { type: "simple-maximum", maximum: 4 },
    activityTaskPollerBehavior: { type: "simple-maximum", maximum: 4 },
    ...(options.buildId
      ? {
          workerDeploymentOptions: {
            useWorkerVersioning: true,
            version: { deploymentName: DEPLOYMENT, buildId: options.buildId },
            defaultVersioningBehavior: "PINNED",
          },
        }
      : {}),
  });
}

/**
 * Sends new workflows to this release unless a later one is there: a copy of an old release that restarts during a roll-out must not
 * take over again. A step back to an old release is an operator's: `temporal worker deployment set-current-version`.
 */
async function promote(client: Client, buildId: string): Promise<void> {
  const { workflowService } = client.connection;
  const { namespace } = client.options;
  const { workerDeploymentInfo: info } = await workflowService.describeWorkerDeployment({ namespace, deploymentName: DEPLOYMENT });
  const currentId = info?.routingConfig?.currentDeploymentVersion?.buildId;
  if (currentId === buildId) return;
  const createdAt = (id: string) =>
    info?.versionSummaries?.find((summary) => summary.deploymentVersion?.buildId === id)?.createTime?.seconds?.toNumber();
  const ours = createdAt(buildId);
  if (ours === undefined) throw new Error(`temporal does not know release ${buildId} yet`);
  if (currentId && (createdAt(currentId) ?? 0) > ours) return;
  await workflowService.setWorkerDeploymentCurrentVersion({
    namespace,
    deploymentName: DEPLOYMENT,
    buildId,
    identity: client.options.identity,
    ignoreMissingTaskQueues: true,
  });
}
