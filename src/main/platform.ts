import path from "node:path";
import type { Sequelize } from "sequelize";
import type { Bus } from "../activity/index.ts";
import { tellAudit } from "../admin/audit.ts";
import type { Config } from "../config/index.ts";
import { traceFields } from "../http/trace.ts";
import { createLivePublisher, createPublisherMetrics, type LivePublisher } from "../live/index.ts";
import { createMonitorPublisher, type MonitorPublisher } from "../monitor/index.ts";
import { randomText } from "../platform/ids.ts";
import { createInvalidation, type Invalidation } from "../platform/invalidation.ts";
import { createLogger, type Logger } from "../platform/logger.ts";
import { createMetrics, type Metrics } from "../platform/metrics.ts";
import { migrate } from "../platform/migrations.ts";
import { createPool, type Pool } from "../platform/postgres.ts";
import { createBlockingRedis, createRedis, type Redis } from "../platform/redis.ts";
import { projectRoot } from "../platform/root.ts";
import { createSecretBox, type SecretBox } from "../platform/secrets.ts";
import { createSequelize } from "../platform/sequelize.ts";
import { createTemporalLink, type TemporalLink } from "../platform/temporal.ts";
import { createErrorReporter } from "../platform/reports/index.ts";
import { createTracing, type Tracing } from "../platform/tracing/index.ts";
import { traceStatements } from "../platform/tracing/postgres.ts";
import { traceWorkflowRequests } from "../platform/tracing/temporal.ts";
import { countWorkflowStarts } from "../platform/workflowMetrics.ts";
import { createEvents } from "./activity.ts";
import { tellTopUps } from "./live.ts";
import { release } from "./release.ts";
import { watchParts } from "./watch-parts.ts";

/** Connections and adapters of one process. Made once, handed to every domain as arguments. */
export interface Platform {
  config: Config;
  log: Logger;
  metrics: Metrics;
  /** Waits until reported errors are sent; at once while nothing is reported. */
  flushReports(): Promise<void>;
  /** Undefined while tracing is off. */
  tracing: Tracing | undefined;
  pool: Pool;
  /** For statistics and reports: few connections of their own and a time limit, so that none of them keeps a call waiting. */
  reportPool: Pool;
  sequelize: Sequelize;
  /** For short commands: fails at once while Redis is gone. */
  redis: Redis;
  /** For mail queues: waits for Redis. */
  queueRedis: Redis;
  temporal: TemporalLink;
  invalidation: Invalidation;
  secretBox: SecretBox;
  /** What happens, told to everything that wants to know. */
  events: Bus;
  /** Tells operators' live monitors what happens here. */
  monitor: MonitorPublisher;
  /** Tells people what happens here with what is theirs. */
  live: LivePublisher;
  /** Of this process alone. */
  processName: string;
  close(): Promise<void>;
}

/** How long the last events of a process may take to be written. */
const EVENTS_MS = 3_000;
const REPORT_CONNECTIONS = 3;
const REPORT_WAIT_MS = 10_000;
const REPORT_STATEMENT_MS = 20_000;
/** How long the last reported errors of a process may take to be sent. */
const REPORTS_MS = 2_000;

export const migrationsFolder = path.join(projectRoot, "migrations");

/** Brings the database to this release, then makes the adapters. Throws when Postgres cannot be reached: nothing works without it. */
export async function createPlatform(config: Config, name: "api" | "worker"): Promise<Platform> {
  const reporter = await createErrorReporter({
    dsn: config.SENTRY_DSN,
    service: name,
    release,
    environment: config.NODE_ENV,
  });
  const flushReports = () => reporter?.flush(REPORTS_MS) ?? Promise.resolve();
  const log = createLogger({ level: config.LOG_LEVEL, name, context: traceFields, onProblem: reporter?.report });
  const metrics = createMetrics({ standard: true });
  await migrate({ url: config.DATABASE_URL, folder: migrationsFolder, log });
  const tracing = await createTracing({
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
    headers: config.OTEL_EXPORTER_OTLP_HEADERS,
    service: config.OTEL_SERVICE_NAME ?? `tollkeeper-${name}`,
    release,
    sampler: config.OTEL_TRACES_SAMPLER,
    ratio: config.OTEL_TRACES_SAMPLER_ARG,
    onProblem: (error) => log.warn({ err: error }, "traces could not be sent"),
  });
  const database = { url: config.DATABASE_URL, transactionIdleMs: config.DATABASE_TRANSACTION_IDLE };
  const pool = createPool({ ...database, max: config.DATABASE_POOL, name: `tollkeeper-${name}`, log });
  const reportPool = createPool({
    ...database,
    max: REPORT_CONNECTIONS,
    name: `tollkeeper-${name}-reports`,
    log,
    connectTimeoutMs: REPORT_WAIT_MS,
    statementTimeoutMs: REPORT_STATEMENT_MS,
  });
  if (tracing) for (const traced of [pool, reportPool]) traceStatements(traced);
  const sequelize = createSequelize({ ...database, max: config.DATABASE_POOL, traced: tracing !== undefined });
  const redis = createRedis({ url: config.REDIS_URL, log });
  const queueRedis = createBlockingRedis({ url: config.REDIS_URL, log });
  const temporal = createTemporalLink({
    address: config.TEMPORAL_ADDRESS,
    namespace: config.TEMPORAL_NAMESPACE,
    uiUrl: config.TEMPORAL_UI_URL.replace(/\/+$/, ""),
    apiKey: config.TEMPORAL_API_KEY,
    tls: config.TEMPORAL_TLS,
    interceptors: [countWorkflowStarts(metrics), ...(tracing ? [traceWorkflowRequests()] : [])],
    log,
  });
  const invalidation = createInvalidation({ url: config.DATABASE_URL, log });
  watchParts(metrics, { pool, redis, invalidation }, release);
  const events = createEvents(config, name, { pool, redis, log, metrics });
  const processName = `${name}-${process.pid}-${randomText(4)}`;
  const monitor = createMonitorPublisher({ redis, name: processName });
  events.addSink(monitor);
  invalidation.on("monitor", () => monitor.wake());
  const live = createLivePublisher({
    redis,
    name: processName,
    keepMost: config.LIVE_KEPT_EVENTS,
    metrics: createPublisherMetrics(metrics),
    log,
  });
  tellTopUps(events, live.publish);
  const untell = tellAudit(events);
  return {
    config,
    log,
    metrics,
    tracing,
    flushReports,
    pool,
    reportPool,
    sequelize,
    redis,
    queueRedis,
    temporal,
    invalidation,
    secretBox: createSecretBox(config.ENCRYPTION_KEYS),
    events,
    monitor,
    live,
    processName,
    async close() {
      untell();
      await Promise.all([events.stop(EVENTS_MS), live.stop(EVENTS_MS)]);
      redis.disconnect();
      queueRedis.disconnect();
      await Promise.allSettled([
        flushReports(),
        tracing?.close(),
        invalidation.stop(),
        temporal.close(),
        sequelize.close(),
        reportPool.end(),
        pool.end(),
      ]);
    },
  };
}
