import type { RequestListener } from "node:http";
import { activityRoutes, createHistory } from "../activity/index.ts";
import { keyAdminRoutes } from "../admin/keys.ts";
import { ledgerRoutes } from "../admin/ledger.ts";
import { opsRouter } from "../admin/ops.ts";
import { settingsRoutes } from "../admin/settings/routes.ts";
import { userAdminRoutes } from "../admin/users.ts";
import { routesServed } from "../gateway/formats/served.ts";
import { heldRuns } from "../gateway/dify/runs/index.ts";
import { createGateway } from "../gateway/index.ts";
import { createSharedLimits, limitRoutes } from "../gateway/limits/index.ts";
import { createCatalog, providerRoutes } from "../gateway/providers/index.ts";
import { oldClientRoutes } from "../http/compat/index.ts";
import { OLD_PREFIX } from "../http/compat/prefix.ts";
import { createApp } from "../http/app.ts";
import { healthRoutes } from "../http/health.ts";
import { createExports } from "../http/exports.ts";
import { createSlots } from "../http/slots.ts";
import { createThrottle } from "../http/throttle.ts";
import { createIdempotency } from "../http/idempotency.ts";
import { countRequests } from "../http/metrics.ts";
import { metricsRoute } from "../http/metricsPage.ts";
import type { Route } from "../http/route.ts";
import type { Upgrade } from "../http/upgrade.ts";
import { LIVE_PATH, liveDemo } from "../live/index.ts";
import { createNoticeSettings, noticeRoutes } from "../notices/index.ts";
import { createQueuesPage } from "../notify/index.ts";
import { outlookRoutes } from "../outlook/index.ts";
import { createPayments, paymentReviewRoutes, paymentRoutes } from "../payments/index.ts";
import { createSubscriptions, planRoutes, quotaRoutes, resetRoutes, statementRoutes, tierRoutes, tierRuleRoutes } from "../quotas/index.ts";
import { pricingRoutes } from "../pricing/index.ts";
import {
  BILLING_QUEUE,
  createAverages,
  createDifyWebhook,
  createIncidentReporter,
  createSettlement,
  createSettlementMetrics,
  createSettlementTrace,
  createUsage,
  ratesOf,
  servedCalls,
  sourceRoutes,
  usageRoutes,
} from "../usage/index.ts";
import { createRenderMetrics, renderNodeRoutes, renderPriceRoutes, renderRoutes } from "../render/index.ts";
import { pointsRoutes, walletRoutes } from "../wallet/index.ts";
import { createHideIp } from "../platform/hideIp.ts";
import { avatarsIn, finishUploadIn } from "./fileUses.ts";
import { partChecks, providerCheck } from "./checks.ts";
import { createApiLive } from "./live.ts";
import { createApiMonitor } from "./monitor.ts";
import type { Platform } from "./platform.ts";
import { createFileServices } from "./files.ts";
import { createQuotaServices } from "./quota-services.ts";
import { createRenderTasks } from "./render.ts";
import { release } from "./release.ts";
import { seedDemo, seedDify } from "./seed-demo.ts";
import { createCoreServices } from "./services.ts";
import { upstreamTimeouts } from "./timeouts.ts";

export interface Api {
  app: RequestListener;
  /** WebSockets, by their paths. */
  upgrades: ReadonlyMap<string, Upgrade>;
  /** Ends running calls within `graceMs`, writes what is waiting. */
  stop(graceMs: number): Promise<void>;
}

/** Composition of the api process: every service once, every route mounted. */
export async function createApi(platform: Platform, stopping: () => boolean): Promise<Api> {
  const { config, log, metrics, tracing, pool, reportPool, sequelize, redis, temporal, invalidation, secretBox, events } = platform;
  const core = createCoreServices(platform);
  const { ledger, pricing, identity, notify, settings, rewards } = core;
  const timeouts = upstreamTimeouts(config);
  const catalog = createCatalog({ pool, invalidation, secretBox, timeouts, log });
  const usage = createUsage({
    pool,
    log,
    temporal: temporal.client,
    shards: config.SETTLEMENT_SHARDS,
    hideIp: createHideIp(config.USAGE_IP, config.HASH_SECRET),
    metrics,
  });
  const { files, storage } = createFileServices(platform, identity);
  createRenderMetrics(metrics, events);
  const payments = createPayments({ pool, log, temporal: temporal.client, config, metrics, events });
  const limits = createSharedLimits({ pool, invalidation });
  const webhook = createDifyWebhook({
    pool,
    log,
    ledger,
    pricing,
    settlement: createSettlement({
      pool,
      ledger,
      pricing,
      log,
      metrics: createSettlementMetrics(metrics, events),
      trace: tracing && createSettlementTrace({ tracing, redis }),
    }),
    accountsOf: identity.payingAccounts,
    invalidation,
    shards: config.SETTLEMENT_SHARDS,
    apiKeys: config.DIFY_WEBHOOK_API_KEY,
    secrets: config.DIFY_WEBHOOK_SECRET,
    debug: config.DIFY_WEBHOOK_DEBUG,
    totals: config.DIFY_WEBHOOK_TOTALS,
    heldRuns,
    metrics,
  });
  const gateway = createGateway({
    identity,
    pricing,
    ledger,
    usage,
    catalog,
    limits,
    invalidation,
    incident: createIncidentReporter({ pool, log, metrics }),
    log,
    pool,
    redis,
    config,
    metrics,
    events,
    tracing,
  });

  await invalidation.start();
  await identity.ensureFirstAdmin();
  if (config.NODE_ENV !== "production" && config.DEMO_UPSTREAM_URL) await seedDemo({ pool, secretBox, url: config.DEMO_UPSTREAM_URL, log });
  if (config.NODE_ENV !== "production" && config.DEMO_DIFY_URL) await seedDify({ pool, secretBox, url: config.DEMO_DIFY_URL, log });
  await gateway.ready;

  const access = { token: config.METRICS_TOKEN, ownPort: false };
  const checks = [...partChecks(platform), providerCheck(gateway.providers)];
  const subscriptions = createSubscriptions({ pool, ledger });
  const monitor = createApiMonitor(platform, { identity, notify, gateway, checks });
  const throttle = createThrottle(config.API_REQUESTS_PER_MINUTE);
  const live = createApiLive(platform, core, throttle);
  const exports = createExports();
  const own: Route[] = [
    ...healthRoutes(checks, { stopping, access }),
    ...(config.METRICS_PORT === undefined ? [metricsRoute(metrics, access)] : []),
    ...identity.routes,
    ...walletRoutes({ pool, ledger, exports, rate: config.CREDITS_PER_YUAN }),
    ...pointsRoutes({
      ledger,
      pricing,
      priceClass: identity.priceClasses.of,
      averages: createAverages(reportPool),
      appHold: gateway.appHold,
      spendOf: identity.spendOf,
      weightOf: async (model) => (await limits.get()).weightOf(model),
    }),
    ...files.routes,
    ...identity.avatarRoutes(avatarsIn(files)),
    ...renderPriceRoutes({ pool }),
    ...renderNodeRoutes({ pool }),
    ...renderRoutes({ pool, tasks: createRenderTasks(platform, core, { files, stores: storage !== undefined }), secretBox, temporal }),
    ...noticeRoutes({
      pool,
      notify,
      settings: createNoticeSettings({ pool, secretBox, allowPrivate: config.WEBHOOK_PRIVATE_ADDRESSES }),
    }),
    ...paymentRoutes(payments, temporal),
    ...paymentReviewRoutes(pool),
    ...usageRoutes({
      sequelize,
      pool,
      exports,
      ledger,
      keyLimits: identity.keyLimits,
      keyNames: identity.keyNames,
      timeZoneOf: identity.timeZoneOf,
      reportPool,
      reporting: createSlots("statistics", { perUser: 6, total: 24 }),
      pricing,
      routesOf: async (model) => routesServed((await catalog.route(model)).map(({ provider }) => provider.speaks)),
      rates: ratesOf(config),
    }),
    ...webhook.routes,
    ...sourceRoutes({ pool, secretBox, intake: webhook.deps.intake, refusals: webhook.deps.refusals }),
    ...pricingRoutes({ pool, pricing, tierExists: identity.tiers.exists }),
    ...userAdminRoutes(identity.users),
    ...quotaRoutes({ ledger, subscriptions, spendOf: identity.spendOf }),
    ...statementRoutes({ pool }),
    ...planRoutes({ pool, subscriptions }),
    ...tierRoutes({ pool }),
    ...tierRuleRoutes({ pool, tiers: identity.tiers, review: createQuotaServices({ pool, ledger, log }).tierReview }),
    ...resetRoutes({ pool, temporal: temporal.client, taskQueue: BILLING_QUEUE }),
    ...monitor.routes,
    ...live.routes,
    ...outlookRoutes({ pool }),
    ...activityRoutes(createHistory({ pool, calls: (filter, limit, counted) => servedCalls(pool, filter, limit, counted) })),
    ...keyAdminRoutes(identity.priceClasses),
    ...providerRoutes({
      pool,
      secretBox,
      catalog,
      routing: gateway.routing,
      allowPrivate: config.UPSTREAM_PRIVATE_ADDRESSES,
      timeouts,
      presetKeys: { antinomy: config.ANTINOMY_API_KEY },
    }),
    ...limitRoutes({ pool, pricing, limits }),
    ...rewards.routes,
    ...settingsRoutes(settings),
    ...ledgerRoutes(ledger),
  ];
  const routes = [
    ...own,
    ...oldClientRoutes(own, {
      authenticate: identity.authenticate,
      endSession: identity.endSession,
      finishUpload: finishUploadIn(files),
    }),
  ];
  const app = createApp({
    log,
    routes,
    documented: gateway.routes,
    relay: (req, res) => gateway.handle(req, res),
    count: countRequests(metrics),
    tracing,
    pages: [
      ...(config.NODE_ENV === "production" ? [] : [{ path: "/live-demo", router: liveDemo() }]),
      {
        path: "/ops",
        router: opsRouter({
          signIn: identity.signInByPassword,
          authenticateToken: identity.authenticateToken,
          secure: config.PUBLIC_URL.startsWith("https:"),
          pages: [
            { path: "/queues", title: "Queues of mails and webhooks", router: createQueuesPage({ notify, basePath: "/ops/queues" }) },
          ],
          links: [
            { url: config.TEMPORAL_UI_URL, title: "Temporal UI" },
            { url: "/docs", title: "API documents" },
            { url: "/readyz", title: "Health" },
          ],
        }),
      },
    ],
    authenticate: identity.authenticate,
    idempotency: createIdempotency(pool),
    throttle,
    trustProxy: config.TRUST_PROXY,
    corsOrigins: config.CORS_ORIGINS,
    publicUrl: config.PUBLIC_URL,
    version: release,
  });

  return {
    app,
    upgrades: new Map([LIVE_PATH, `${OLD_PREFIX}ws`].map((path) => [path, live.upgrade])),
    async stop(graceMs) {
      monitor.stop();
      const quiet = live.stop();
      await gateway.drain(graceMs);
      await quiet;
      await usage.stop(5_000);
      await webhook.stop();
      await ledger.close();
      await identity.idle();
      await notify.close();
      await gateway.close();
      storage?.close();
    },
  };
}
