import type { Budget, BudgetUnit } from "../ledger/index.ts";
import { parseCredits } from "../platform/credits.ts";
import { periodAt, type Period, type Terms } from "./calendar.ts";
import { nextTurn, partsAt, worthOf, type PlanBook } from "./planBook.ts";
import { prorate } from "./proration.ts";
import type { Limits, Weights } from "./tiers.ts";

/** Requests and tokens are counted in hundredths, so that a weight in percent is exact. */
const HUNDREDTHS = 100n;

/** Everything that decides somebody's quotas. */
export interface QuotaSource {
  userId: string;
  /** Undefined for the account alone. */
  keyId: string | undefined;
  terms: readonly Terms[];
  book: PlanBook;
  /** The tier's. */
  weights: Weights;
  /** Of the tier, of the user (which override plan and tier) and of the key (which stand beside). */
  limits: { tier: Limits; own: Limits; key: Limits };
}

type Quotas = Partial<Record<BudgetUnit, bigint>>;

const UNITS: readonly { unit: BudgetUnit; letter: string }[] = [
  { unit: "requests", letter: "r" },
  { unit: "tokens", letter: "t" },
  { unit: "credits", letter: "c" },
];

/** The quotas among limits, in the size of their counters. */
export function quotasOf(limits: Limits): Quotas {
  const credits = limits.quota_credits === undefined ? undefined : parseCredits(limits.quota_credits);
  return {
    ...(limits.quota_requests === undefined ? {} : { requests: BigInt(limits.quota_requests) * HUNDREDTHS }),
    ...(limits.quota_tokens === undefined ? {} : { tokens: BigInt(limits.quota_tokens) * HUNDREDTHS }),
    ...(credits === undefined ? {} : { credits }),
  };
}

/** Quotas of a whole period as those of one that may be shorter. */
function shareOf(quotas: Quotas, period: Period): Quotas {
  if (period.untilMs - period.fromMs === period.wholeMs) return quotas;
  return Object.fromEntries(Object.entries(quotas).map(([unit, amount]) => [unit, prorate([{ ...period, amount }], period.wholeMs)]));
}

const isEmpty = (limits: Limits): boolean => Object.keys(quotasOf(limits)).length === 0;

/** Whether anything of a source may ever be a quota: if not, its calls need not look. */
export function hasQuotas({ terms, book, limits: { tier, own, key } }: QuotaSource): boolean {
  const planned = terms.some(({ plan }) => book.versions.get(plan)?.some(({ limits }) => !isEmpty(limits)));
  return planned || ![tier, own, key].every(isEmpty);
}

/**
 * The quotas of an account at an instant of a period: its own before its plan's before its tier's. A plan's, when the plan changed in
 * mid-period, by the parts of the period; the others as they are now. Of a period that a change of day or zone cut short, its share.
 */
function accountQuotas({ terms, book, limits: { tier, own } }: QuotaSource, period: Period, ms: number): Quotas {
  const parts = partsAt(book, terms, ms, period);
  const [ofTier, ofOwn] = [shareOf(quotasOf(tier), period), shareOf(quotasOf(own), period)];
  const all = UNITS.map(({ unit }): [BudgetUnit, bigint | undefined] => [
    unit,
    ofOwn[unit] ?? worthOf(parts, period, ({ limits }) => quotasOf(limits)[unit]) ?? ofTier[unit],
  ]);
  return Object.fromEntries(all.filter(([, limit]) => limit !== undefined)) as Quotas;
}

/** Quotas as budgets, narrowest first, and until when they are these. */
export function quotaBudgets(source: QuotaSource, ms: number): { budgets: Budget[]; untilMs: number } {
  const period = periodAt(source.terms, ms);
  const since = new Date(period.fromMs);
  const resetsAt = new Date(period.untilMs);
  const weights = weightsAt(source, ms);
  const name = `${resetsAt.toISOString().slice(0, 16)}Z`;
  const budgets = (id: string, quotas: Quotas): Budget[] =>
    UNITS.flatMap(({ unit, letter }) => {
      const limit = quotas[unit];
      const budget = { id, period: `q${letter}:${name}`, unit, since, resetsAt, ...(unit === "credits" ? {} : { weights }) };
      return limit === undefined ? [] : [{ ...budget, limit }];
    });
  return {
    budgets: [
      ...(source.keyId === undefined ? [] : budgets(`key:${source.keyId}`, shareOf(quotasOf(source.limits.key), period))),
      ...budgets(`user:${source.userId}`, accountQuotas(source, period, ms)),
    ],
    untilMs: nextTurn(source.terms, ms),
  };
}

/** What the plan in force and, where that says nothing of a model, the tier say of models' weights. */
export function weightsAt({ terms, book, weights }: Pick<QuotaSource, "terms" | "book" | "weights">, ms: number): Weights {
  return { ...weights, ...partsAt(book, terms, ms).at(-1)!.version.weights };
}

const RATES = ["requests_per_minute", "requests_per_second", "tokens_per_minute", "max_parallel"] as const;

/** A share of the rates and parallel calls among limits, rounded up; all else stays. */
function shrink(limits: Limits, percent: number): Limits {
  const shrunk = RATES.flatMap((name): [string, number][] =>
    limits[name] === undefined ? [] : [[name, Math.ceil((limits[name] * percent) / 100)]],
  );
  return { ...limits, ...Object.fromEntries(shrunk) };
}

/**
 * The limits of an account at an instant: its own before its plan's before its tier's. `percent` is what behaviour leaves of rates that are
 * not its own.
 */
export function accountLimits(
  of: Pick<QuotaSource, "terms" | "book"> & { tier: Limits; own: Limits; percent?: number },
  ms: number,
): Limits {
  const given = { ...of.tier, ...partsAt(of.book, of.terms, ms).at(-1)!.version.limits };
  const { percent = 100 } = of;
  return { ...(percent < 100 ? shrink(given, percent) : given), ...of.own };
}
