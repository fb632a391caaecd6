import { createRunChase, type RunChase } from "../gateway/dify/chase/index.ts";
import { WEBHOOK_MS } from "../gateway/dify/runs/pace.ts";
import { createCatalog } from "../gateway/providers/index.ts";
import { createUpstream } from "../gateway/upstream/exchange.ts";
import type { Ledger } from "../ledger/index.ts";
import type { Pricing } from "../pricing/index.ts";
import { createIncidentReporter, type Settlement } from "../usage/index.ts";
import type { Platform } from "./platform.ts";
import { upstreamTimeouts } from "./timeouts.ts";

/** What asks providers, in the worker, for work that no call has read to its end. */
export function createRunServices(
  platform: Platform,
  services: { ledger: Ledger; pricing: Pricing; settlement: Settlement },
): { chase: RunChase; close(): Promise<void> } {
  const { config, log, metrics, pool, invalidation, secretBox } = platform;
  const upstream = createUpstream({ allowPrivate: config.UPSTREAM_PRIVATE_ADDRESSES });
  const chase = createRunChase({
    pool,
    log,
    ...services,
    shards: config.SETTLEMENT_SHARDS,
    catalog: createCatalog({ pool, invalidation, secretBox, timeouts: upstreamTimeouts(config), log }),
    upstream,
    webhookMs: config.DIFY_WEBHOOK_API_KEY.length > 0 ? WEBHOOK_MS : 0,
    incident: createIncidentReporter({ pool, log, metrics }),
  });
  return { chase, close: () => upstream.close() };
}
