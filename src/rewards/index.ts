import { createBus, type Bus } from "../activity/index.ts";
import type { Settings } from "../admin/settings/index.ts";
import type { Route } from "../http/route.ts";
import type { UserView } from "../identity/index.ts";
import type { Ledger } from "../ledger/index.ts";
import { systemClock, type Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { createMetrics, type Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";
import { createCampaignAdmin } from "./campaign/admin.ts";
import { campaignAdminRoutes } from "./campaign/adminRoutes.ts";
import { createClaims } from "./campaign/claim.ts";
import { createPayDues } from "./campaign/dues.ts";
import { campaignRoutes } from "./campaign/routes.ts";
import { createMakeUp } from "./checkin/makeup.ts";
import { createOverview } from "./checkin/overview.ts";
import { checkInRoutes } from "./checkin/routes.ts";
import { createCheckIn } from "./checkin/service.ts";
import { createTopUpRewards, type TopUpRewards } from "./delivery.ts";
import { createFindMember, memberOrThrow } from "./member.ts";
import { createPayouts } from "./payouts.ts";
import { referralAdminRoutes } from "./referral/adminRoutes.ts";
import { referralIntake, type ReferralIntake } from "./referral/intake.ts";
import { createReferralPayout } from "./referral/payout.ts";
import { createReview } from "./referral/review.ts";
import { referralRoutes } from "./referral/routes.ts";
import { createReverse } from "./reversals/reverse.ts";
import { reversalRoutes } from "./reversals/routes.ts";
import { createTakeBack } from "./reversals/takeBack.ts";
import { checkInSettings, referralSettings, welcomeSettings } from "./settings.ts";
import { rewardStatsRoutes } from "./stats.ts";
import { createWelcome } from "./welcome.ts";

export { campaignBudgets } from "./campaign/repository.ts";
export { watchRewards } from "./waiting.ts";
export type { Delivered, TopUpRewards } from "./delivery.ts";
export type { ReferralIntake } from "./referral/intake.ts";

/** The live settings of this domain. */
export const rewardSettings = [checkInSettings, welcomeSettings, referralSettings] as const;

/** Credit that is given: for checking in, for a new account, for bringing somebody, by campaigns. */
export interface Rewards {
  /** Gives a new account its welcome, once. */
  welcome(userId: string): Promise<void>;
  /** What registration tells about who brought somebody. */
  referrals: ReferralIntake;
  topUps: TopUpRewards;
  routes: Route[];
}

/** Puts the domain together. Opens nothing; `getUser` is asked only while something is served. */
export function createRewards(deps: {
  pool: Pool;
  ledger: Pick<Ledger, "creditAnd" | "debit" | "balance" | "ensureWallet" | "takeBack">;
  settings: Settings;
  getUser: (id: string) => Promise<UserView | undefined>;
  log: Logger;
  metrics?: Metrics;
  events?: Bus;
  clock?: Clock;
}): Rewards {
  const { pool, ledger, settings, log, clock = systemClock, metrics = createMetrics(), events = createBus() } = deps;
  const find = createFindMember(deps.getUser);
  const member = (userId: string) => memberOrThrow(find, userId);
  const payouts = createPayouts({ pool, ledger, metrics, emit: events.emit });
  const payout = createReferralPayout({ pool, settings, payouts, member: find, clock });
  const claims = createClaims({ pool, payouts, member: find, clock });
  const days = { pool, settings, payouts, ledger, clock };

  return {
    welcome: createWelcome({ settings, payouts, clock }),
    referrals: referralIntake,
    topUps: createTopUpRewards({
      pool,
      log,
      payout,
      payDues: createPayDues({ pool, payouts, member: find, clock }),
      reverse: createReverse({ pool }),
      takeBack: createTakeBack({ pool, ledger, metrics, emit: events.emit }),
    }),
    routes: [
      ...checkInRoutes({ checkIn: createCheckIn(days), makeUp: createMakeUp(days), overview: createOverview(days), member }),
      ...referralRoutes({ pool, settings }),
      ...campaignRoutes(claims),
      ...referralAdminRoutes({ pool, review: createReview({ pool, payout }) }),
      ...campaignAdminRoutes({ pool, admin: createCampaignAdmin({ pool }), clock }),
      ...reversalRoutes({ pool }),
      ...rewardStatsRoutes({ pool }),
    ],
  };
}
