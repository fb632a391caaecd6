import { periodAt, termsAt, type Period, type Rhythm, type Span, type Terms } from "./calendar.ts";
import { prorate } from "./proration.ts";
import type { Limits, Weights } from "./tiers.ts";

/** When a change of a plan, or to a plan, counts. */
export type TakesEffect = "now" | "next_period";

/** One version of a plan. */
export interface PlanVersion extends Rhythm {
  plan: string;
  version: number;
  /** Granted at the beginning of each period, in micro-credits; what is left of it ends with the period. */
  allowance: bigint;
  /** Limits and quotas of its subscribers, which go before those of their tier. */
  limits: Limits;
  /** What calls of a model count in quotas, in percent; others count as the model's own weight says. */
  weights: Weights;
  takesEffect: TakesEffect;
  createdMs: number;
}

/** Terms of the standard plan. Those that begin later, or were written later in place of others, have a higher number. */
export interface StandardTerms extends Terms {
  no: bigint;
}

/** All plans with all their versions, oldest first. */
export interface PlanBook {
  /** What everybody has who has no subscription of his own: what was and is in force, and what is to come. Not empty. */
  standard: readonly StandardTerms[];
  versions: ReadonlyMap<string, readonly PlanVersion[]>;
}

/** A part of a period with what was in force. */
export interface PlanPart extends Span {
  version: PlanVersion;
}

function versionsOf(book: PlanBook, plan: string): readonly PlanVersion[] {
  const versions = book.versions.get(plan);
  if (!versions || versions.length === 0) throw new Error(`there is no plan ${plan}`);
  return versions;
}

/**
 * The version of a plan that counts at an instant: the newest of those that were there when the period or, if later, the plan in it began,
 * or took effect at once since; the first, when the plan itself is newer than the period.
 */
export function versionAt(book: PlanBook, plan: string, beganMs: number, ms: number): PlanVersion {
  const versions = versionsOf(book, plan);
  const counts = ({ createdMs, takesEffect }: PlanVersion) => createdMs <= beganMs || (takesEffect === "now" && createdMs <= ms);
  return versions.findLast(counts) ?? versions[0]!;
}

/**
 * What was in force in a period until an instant in it, part by part; the last part is the one of that instant and counts to the period's
 * end, as nothing that is known changes before it.
 */
export function partsAt(book: PlanBook, terms: readonly Terms[], ms: number, period: Span = periodAt(terms, ms)): PlanPart[] {
  const turns = [
    ...terms.map(({ fromMs }) => fromMs),
    ...[...new Set(terms.map(({ plan }) => plan))].flatMap((plan) =>
      versionsOf(book, plan).flatMap(({ createdMs, takesEffect }) => (takesEffect === "now" ? [createdMs] : [])),
    ),
  ].filter((turn) => turn > period.fromMs && turn <= ms);
  const begins = [period.fromMs, ...new Set(turns.sort((a, b) => a - b))];
  return begins.map((fromMs, n) => {
    const { plan, fromMs: joinedMs } = termsAt(terms, fromMs);
    return { fromMs, untilMs: begins[n + 1] ?? period.untilMs, version: versionAt(book, plan, Math.max(period.fromMs, joinedMs), fromMs) };
  });
}

/** What a period whose plan has these parts is worth in something that versions say: its share of a whole period, undefined for no limit. */
export const worthOf = (parts: readonly PlanPart[], { wholeMs }: Period, of: (version: PlanVersion) => bigint | undefined) =>
  prorate(
    parts.map(({ fromMs, untilMs, version }) => ({ fromMs, untilMs, amount: of(version) })),
    wholeMs,
  );

/** The next instant after `ms` at which anything that {@link partsAt} says may change. */
export function nextTurn(terms: readonly Terms[], ms: number): number {
  const turn = terms.find(({ fromMs }) => fromMs > ms)?.fromMs ?? Infinity;
  return Math.min(turn, periodAt(terms, ms).untilMs);
}
