import { formatCredits, parseCredits } from "../../platform/credits.ts";

/** What a level asks; what is left out is not asked. Amounts are credits as text. */
export interface Conditions {
  /** Days since the account was made. */
  age_days?: number | undefined;
  /** Bought in all, less what was refunded. */
  paid?: string | undefined;
  /** Used in the last 30 days. */
  spent?: string | undefined;
  /** Behaviour, 0 to 100. */
  score?: number | undefined;
}

/** A tier of the ladder: what leads to it and what keeps it, which is never more. */
export interface Level {
  tier: string;
  enter?: Conditions | undefined;
  stay?: Conditions | undefined;
}

export interface TierRules {
  enabled: boolean;
  /** The tier of new accounts. */
  start_tier: string;
  /** Nobody is promoted within so many days of a change. */
  cool_down_days: number;
  /** Rates and parallel calls shrink with a score below `full_from`, in proportion, to `least_percent`; null: they stay. */
  limits_follow_score: { full_from: number; least_percent: number } | null;
  /** Lowest first. */
  levels: readonly Level[];
}

/** What is known of somebody; amounts in micro-credits. */
export interface Facts {
  tier: string;
  ageDays: number;
  paid: bigint;
  spent: bigint;
  score: number;
  /** When the tier last changed; null: never. */
  changedAt: Date | null;
}

/** A condition and what was found. */
export interface Reason {
  rule: keyof Conditions | "cool_down_days";
  asked: string;
  found: string;
  met: boolean;
}

export interface Decision {
  tier: string;
  change: "promoted" | "demoted" | "kept";
  /** For a demotion what was not met, else what the next level asks. */
  reasons: Reason[];
}

const DAY_MS = 86_400_000;

/**
 * The tier somebody should have: one level down when what keeps the present one is not met, else one up when all that leads there is and
 * the last change is long enough ago. A level asks less of those who have it than of those who come, so that nobody goes up and down on
 * one threshold. Somebody whose tier is no level keeps it.
 */
export function decideTier(rules: TierRules, facts: Facts, now: Date): Decision {
  const place = rules.levels.findIndex(({ tier }) => tier === facts.tier);
  if (place < 0) return { tier: facts.tier, change: "kept", reasons: [] };
  const kept = check(rules.levels[place]!.stay ?? {}, facts);
  if (place > 0 && kept.some(({ met }) => !met)) {
    return { tier: rules.levels[place - 1]!.tier, change: "demoted", reasons: kept.filter(({ met }) => !met) };
  }
  const next = rules.levels[place + 1];
  if (!next?.enter) return { tier: facts.tier, change: "kept", reasons: [] };
  const reasons = [...check(next.enter, facts), ...coolDown(rules, facts, now)];
  const promoted = reasons.every(({ met }) => met);
  return { tier: promoted ? next.tier : facts.tier, change: promoted ? "promoted" : "kept", reasons };
}

function check(asked: Conditions, facts: Facts): Reason[] {
  const reasons: Reason[] = [];
  const number = (rule: "age_days" | "score", least: number | undefined, found: number) => {
    if (least !== undefined) reasons.push({ rule, asked: String(least), found: String(found), met: found >= least });
  };
  const credits = (rule: "paid" | "spent", least: string | undefined, found: bigint) => {
    if (least !== undefined) reasons.push({ rule, asked: least, found: formatCredits(found), met: found >= parseCredits(least)! });
  };
  number("age_days", asked.age_days, facts.ageDays);
  credits("paid", asked.paid, facts.paid);
  credits("spent", asked.spent, facts.spent);
  number("score", asked.score, facts.score);
  return reasons;
}

function coolDown({ cool_down_days: asked }: TierRules, { changedAt }: Facts, now: Date): Reason[] {
  if (!changedAt || asked === 0) return [];
  const found = Math.floor((now.getTime() - changedAt.getTime()) / DAY_MS);
  return [{ rule: "cool_down_days", asked: String(asked), found: String(found), met: found >= asked }];
}

/** What share of rates and parallel calls a score leaves, in percent. */
export function limitPercent({ limits_follow_score: follow }: Pick<TierRules, "limits_follow_score">, score: number): number {
  if (!follow || score >= follow.full_from) return 100;
  return Math.max(follow.least_percent, Math.floor((score * 100) / follow.full_from));
}
