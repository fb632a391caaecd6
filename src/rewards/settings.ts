import { z } from "zod";
import { setting } from "../admin/settings/index.ts";
import { creditsInput } from "../http/schemas.ts";
import { MICRO } from "../platform/credits.ts";

/** What operators may set about rewards while the product runs. */

/** No single reward is above this, so that a slip of the finger cannot give away a fortune. */
const REWARD_MAX = 1_000_000n * MICRO;
const reward = creditsInput.refine((micro) => micro <= REWARD_MAX, "must not be above 1000000");
const days = z.number().int().min(0).max(3_650);
const priority = z.number().int().min(0).max(100);

export const checkInSettings = {
  enabled: setting({ key: "checkin.enabled", description: "Whether people can check in", schema: z.boolean(), fallback: true }),
  rewards: setting({
    key: "checkin.rewards",
    description: "Credits for the first day in a row, the second, and so on; 0 pays nothing that day",
    schema: z.array(reward).min(1).max(366),
    fallback: ["1", "1", "2", "2", "3", "3", "5"],
  }),
  pastTable: setting({
    key: "checkin.past_table",
    description: "After the table's last day: `last` pays its last amount every day, `repeat` begins the table anew",
    schema: z.enum(["last", "repeat"]),
    fallback: "last" as const,
  }),
  expiresDays: setting({
    key: "checkin.expires_days",
    description: "Days after which check-in credit expires; 0: never",
    schema: days,
    fallback: 0,
  }),
  priority: setting({
    key: "checkin.priority",
    description: "Lower is spent first; bonus has 30, credit that was bought 50",
    schema: priority,
    fallback: 20,
  }),
  makeupDays: setting({
    key: "checkin.makeup_days",
    description: "How many days back a missed day can be made up; 0: not at all",
    schema: z.number().int().min(0).max(31),
    fallback: 0,
  }),
  makeupPrice: setting({
    key: "checkin.makeup_price",
    description: "Credits that a made-up day costs; 0: free",
    schema: reward,
    fallback: "0",
  }),
  makeupPerMonth: setting({
    key: "checkin.makeup_per_month",
    description: "How many days a person can make up in a calendar month (UTC)",
    schema: z.number().int().min(1).max(31),
    fallback: 3,
  }),
};

export const welcomeSettings = {
  credits: setting({
    key: "welcome.credits",
    description: "Credits for a new account once its address is proven; 0: none. The default is WELCOME_CREDITS",
    schema: reward,
    fallback: "0",
  }),
  expiresDays: setting({ key: "welcome.expires_days", description: "Days after which it expires; 0: never", schema: days, fallback: 0 }),
};

export const referralSettings = {
  enabled: setting({ key: "referral.enabled", description: "Whether referrals are rewarded", schema: z.boolean(), fallback: false }),
  referrer: setting({
    key: "referral.referrer_reward",
    description: "Credits for who referred, once the referred person's first top-up is complete",
    schema: reward,
    fallback: "10",
  }),
  referred: setting({
    key: "referral.referred_reward",
    description: "Credits for the referred person, at the same time",
    schema: reward,
    fallback: "10",
  }),
  minTopUp: setting({
    key: "referral.min_topup",
    description: "Credits that a top-up must buy, without bonus, to count as the first one",
    schema: reward,
    fallback: "0",
  }),
  monthlyCap: setting({
    key: "referral.monthly_cap",
    description: "How many referrals a month (UTC) a referrer is rewarded for",
    schema: z.number().int().min(1).max(1_000_000),
    fallback: 20,
  }),
  expiresDays: setting({
    key: "referral.expires_days",
    description: "Days after which both rewards expire; 0: never",
    schema: days,
    fallback: 0,
  }),
};
