import { createIdentity, type Identity } from "../identity/index.ts";
import { createLedger, type Ledger } from "../ledger/index.ts";
import { createNotify, type Notify } from "../notify/index.ts";
import { createPricing, type Pricing } from "../pricing/index.ts";
import { createOpenings } from "./openings.ts";
import type { Platform } from "./platform.ts";

/** The domains that both the api and the worker use. */
export interface CoreServices {
  ledger: Ledger;
  pricing: Pricing;
  notify: Notify;
  identity: Identity;
}

export function createCoreServices(platform: Platform): CoreServices {
  const { pool, log, metrics, config, sequelize, temporal, invalidation, queueRedis, events } = platform;
  const ledger = createLedger({
    pool,
    log,
    tolerance: { percent: config.SETTLE_TOLERANCE_PERCENT, micro: config.SETTLE_TOLERANCE_CREDITS },
    spentSince: createOpenings(pool),
    metrics,
  });
  const pricing = createPricing({ pool, invalidation });
  const notify = createNotify({ redis: queueRedis, log });
  const identity = createIdentity({ pool, sequelize, config, ledger, notify, temporal, invalidation, log, metrics, events });
  return { ledger, pricing, notify, identity };
}
