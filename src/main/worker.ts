import { createServer } from "node:http";
import express from "express";
import { createActivities } from "../../activities/index.ts";
import { prepareNamespace } from "../../temporal/namespace.ts";
import { ensureSchedules } from "../../temporal/schedules.ts";
import { keepPartitions } from "../activity/index.ts";
import { loadConfig } from "../config/index.ts";
import { forgetExpiredAnswers } from "../gateway/answers/index.ts";
import { forgetPassedTasks } from "../gateway/dify/owned/index.ts";
import { heldRuns, keptForRuns, watchRuns } from "../gateway/dify/runs/index.ts";
import { watchFiles } from "../files/index.ts";
import { errorHandler } from "../http/errorHandler.ts";
import { healthRoutes } from "../http/health.ts";
import { metricsRoute } from "../http/metricsPage.ts";
import { createIdempotency } from "../http/idempotency.ts";
import { mountRoutes } from "../http/mount.ts";
import { watchLedger } from "../ledger/index.ts";
import { createAttempt, createTell, watchNotices } from "../notices/index.ts";
import { watchOutlook } from "../outlook/index.ts";
import { createWebhookSender, startMailWorker, startWebhookWorker, watchQueues } from "../notify/index.ts";
import { traceActivities } from "../platform/tracing/temporal.ts";
import { createPaymentSteps, watchCallbacks } from "../payments/index.ts";
import { RENDER_QUEUE, watchNodes, watchTasks } from "../render/index.ts";
import { watchRewards } from "../rewards/index.ts";
import {
  BILLING_QUEUE,
  createDifyUsage,
  createDrain,
  createHousekeeping,
  createSettlement,
  createSettlementMetrics,
  createSettlementTrace,
  forgetIncidents,
  forgetMessageCalls,
  startSettlements,
  watchBacklog,
  tidyDify,
  watchOpenEvents,
} from "../usage/index.ts";
import { createRunServices } from "./runs.ts";
import { partChecks } from "./checks.ts";
import { exitOnConfigError } from "./config-error.ts";
import { createFileServices } from "./files.ts";
import { listen } from "./listen.ts";
import { loadEnv } from "./load-env.ts";
import { serveMetrics } from "./metrics-server.ts";
import { createOutlookSampler } from "./outlook.ts";
import { createPlatform } from "./platform.ts";
import { createQuotaServices } from "./quota-services.ts";
import { release } from "./release.ts";
import { createRenderWork } from "./render.ts";
import { startRenderNode, type RenderNode } from "./render-node.ts";
import { createCoreServices } from "./services.ts";
import { onShutdown } from "./shutdown.ts";
import { takeTemporalMetrics } from "./temporal-metrics.ts";
import { startWorker } from "./worker-runtime.ts";

/** The worker process: workflows, activities, mail. Any number of copies. */
loadEnv();
const config = exitOnConfigError(() => loadConfig());
const platform = await createPlatform(config, "worker");
const { log, metrics, tracing, pool, temporal, invalidation, events } = platform;
const { ledger, pricing, identity, notify, rewards } = createCoreServices(platform);
const { files, storage } = createFileServices(platform, identity);
let stopping = false;

await invalidation.start();
const settlement = createSettlement({
  pool,
  ledger,
  pricing,
  log,
  metrics: createSettlementMetrics(metrics, events),
  trace: tracing && createSettlementTrace({ tracing, redis: platform.redis }),
});
const dify = createDifyUsage({
  pool,
  log,
  ledger,
  pricing,
  settlement,
  accountsOf: identity.payingAccounts,
  invalidation,
  shards: config.SETTLEMENT_SHARDS,
  totals: config.DIFY_WEBHOOK_TOTALS,
  heldRuns,
});
const runs = createRunServices(platform, { ledger, pricing, settlement });
const startAll = () => startSettlements(temporal.client, config.SETTLEMENT_SHARDS, BILLING_QUEUE);
const tell = createTell({
  pool,
  notify,
  contact: identity.contact,
  publicUrl: config.PUBLIC_URL,
  push: (userId, data) => platform.live.publish({ userId, type: "notice", data }),
  log,
});
const sender = createWebhookSender({ allowPrivate: config.WEBHOOK_PRIVATE_ADDRESSES, timeoutMs: config.WEBHOOK_TIMEOUT });
const render = createRenderWork(platform, { ledger, identity, notify }, { files, stores: storage !== undefined, sender });
const activities = createActivities({
  files,
  identity: { registrationSteps: identity.registrationSteps },
  notices: { tell },
  payments: {
    topUpSteps: createPaymentSteps({
      pool,
      log,
      temporal: temporal.client,
      config,
      metrics,
      events,
      ledger,
      notify,
      contact: identity.contact,
      rewards: rewards.topUps,
    }),
  },
  render,
  rewards: { topUps: rewards.topUps },
  quotas: createQuotaServices({ pool, ledger, log }),
  usage: {
    drain: createDrain({ pool, settlement, batch: config.SETTLEMENT_BATCH, log }),
    housekeeping: createHousekeeping({
      pool,
      ledger,
      shards: config.SETTLEMENT_SHARDS,
      keeps: keptForRuns,
      chores: [
        () => forgetExpiredAnswers(pool),
        () => forgetPassedTasks(pool),
        () => forgetMessageCalls(pool),
        () => identity.forgetTokens(),
        () => dify.sweep(),
        () => tidyDify(pool),
        () => forgetIncidents(pool, new Date(Date.now() - config.INCIDENTS_KEPT)),
        () => keepPartitions(pool, new Date(Date.now() - config.ACTIVITY_LISTED)),
        () => tell.forget(),
        createOutlookSampler(platform),
        ...render.chores,
        () => runs.chase(),
      ],
      log,
    }),
    startSettlements: startAll,
  },
});
const mail = startMailWorker({ redis: platform.queueRedis, smtpUrl: config.SMTP_URL, from: config.MAIL_FROM, log });
const tryNotice = createAttempt({ pool, secretBox: platform.secretBox, sender, notify, log });
const webhooks = startWebhookWorker({
  redis: platform.queueRedis,
  // A delivery is a notice to its owner or the callback of a task; the other finds nothing to do.
  async attempt(job) {
    await tryNotice(job);
    await render.callbacks.attempt(job);
  },
  log,
});
const temporalWorker = {
  address: config.TEMPORAL_ADDRESS,
  namespace: config.TEMPORAL_NAMESPACE,
  tls: config.TEMPORAL_TLS,
  apiKey: config.TEMPORAL_API_KEY,
  buildId: config.TEMPORAL_BUILD_ID,
  client: temporal.client,
  beforePolling: () => prepareNamespace({ connection: temporal.connection, namespace: config.TEMPORAL_NAMESPACE }),
  graceMs: config.SHUTDOWN_GRACE,
  log,
  metricsAddress: await takeTemporalMetrics(metrics),
  activityInterceptors: tracing ? [traceActivities(tracing)] : [],
};
const worker = startWorker({
  ...temporalWorker,
  taskQueue: BILLING_QUEUE,
  activities,
  onConnected: async () => {
    await ensureSchedules(temporal.client, { taskQueue: BILLING_QUEUE });
    await startAll();
  },
});
let node: RenderNode | undefined;
/** Looking for engines starts programs: nothing waits for it. */
const nodeBegun =
  config.RENDER_FRAMES_AT_ONCE > 0 &&
  render.begin().then((engines) => {
    if (engines.length === 0 || stopping) return;
    node = startRenderNode({
      pool,
      log,
      steps: render.steps,
      engines,
      queuePrefix: RENDER_QUEUE,
      name: config.RENDER_NODE_NAME,
      release,
      slots: config.RENDER_FRAMES_AT_ONCE,
      memoryMb: config.RENDER_NODE_MEMORY_MB,
      worker: temporalWorker,
    });
  });
watchLedger(metrics, pool);
watchBacklog(metrics, pool);
watchOpenEvents(metrics, pool);
watchRuns(metrics, pool);
watchCallbacks(metrics, pool);
watchRewards(metrics, pool);
watchTasks(metrics, pool);
watchNodes(metrics, pool);
watchQueues(metrics, notify.queues);
watchNotices(metrics, pool);
watchFiles(metrics, pool);
watchOutlook(metrics, pool);

// Health and metrics alone; nobody calls a worker.
const access = { token: config.METRICS_TOKEN, ownPort: true };
const app = express();
app.disable("x-powered-by");
app.use(
  mountRoutes(
    [
      ...healthRoutes(partChecks(platform), { stopping: () => stopping, access }),
      ...(config.METRICS_PORT === undefined ? [metricsRoute(metrics, access)] : []),
    ],
    { authenticate: async () => undefined, idempotency: createIdempotency(pool) },
  ),
);
app.use(errorHandler(log));
const server = createServer(app);
await listen(server, config);
const endMetrics = await serveMetrics(platform);
log.info({ port: config.PORT }, "the worker is up");

onShutdown({
  log,
  flushReports: platform.flushReports,
  limitMs: config.SHUTDOWN_GRACE + 15_000,
  async stop() {
    stopping = true;
    server.close();
    await nodeBegun;
    await Promise.all([worker.stop(), node?.stop()]);
    endMetrics();
    await Promise.all([mail.close(), webhooks.close()]);
    await sender.close();
    await runs.close();
    await ledger.close();
    await notify.close();
    storage?.close();
    await platform.close();
  },
});
