import { createSettings, type Settings } from "../admin/settings/index.ts";
import { createIdentity, type Identity } from "../identity/index.ts";
import { createLedger, type Ledger } from "../ledger/index.ts";
import { createNotify, type Notify } from "../notify/index.ts";
import { formatCredits } from "../platform/credits.ts";
import { createPricing, type Pricing } from "../pricing/index.ts";
import { createRewards, rewardSettings, type Rewards } from "../rewards/index.ts";
import { createOpenings } from "./openings.ts";
import type { Platform } from "./platform.ts";

/** The domains that both the api and the worker use. */
export interface CoreServices {
  ledger: Ledger;
  pricing: Pricing;
  notify: Notify;
  identity: Identity;
  settings: Settings;
  rewards: Rewards;
}

export function createCoreServices(platform: Platform): CoreServices {
  const { pool, log, metrics, config, sequelize, temporal, invalidation, queueRedis, events } = platform;
  const pricing = createPricing({ pool, invalidation });
  const ledger = createLedger({
    pool,
    log,
    tolerance: { percent: config.SETTLE_TOLERANCE_PERCENT, micro: config.SETTLE_TOLERANCE_CREDITS },
    spentSince: createOpenings(pool, pricing),
    metrics,
  });
  const notify = createNotify({ redis: queueRedis, log });
  const settings = createSettings({
    pool,
    invalidation,
    log,
    groups: rewardSettings,
    fallbacks: { "welcome.credits": formatCredits(config.WELCOME_CREDITS) },
  });
  // Each asks the other, but only while something is served.
  const rewards = createRewards({ pool, ledger, settings, getUser: (id) => identity.getUser(id), log, metrics, events });
  const identity: Identity = createIdentity({
    pool,
    sequelize,
    config,
    ledger,
    notify,
    temporal,
    invalidation,
    log,
    metrics,
    events,
    rewards,
  });
  return { ledger, pricing, notify, identity, settings, rewards };
}
