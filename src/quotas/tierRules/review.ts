import { systemClock, type Clock } from "../../platform/clock.ts";
import { formatCredits } from "../../platform/credits.ts";
import { inTransaction, type Pool, type PoolClient, type Queryable } from "../../platform/postgres.ts";
import { stopAfter, type StepOptions } from "../reset/index.ts";
import { decideTier, limitPercent, type Decision, type Facts, type TierRules } from "./decide.ts";
import * as repository from "./repository.ts";
import type { StandingRow } from "./repository.ts";
import { behaviourScore, type Behaviour } from "./score.ts";

/** A person as the domain of people knows one. */
export interface Person {
  userId: string;
  walletId: bigint;
  tier: string;
  createdAt: Date;
}

/** What reviews ask other domains. */
export interface TierSources {
  /** Those of the users whose accounts are active; their tier cannot change until the transaction ends. */
  people(tx: Queryable, userIds: readonly string[]): Promise<Person[]>;
  /** What each bought in all (less refunds) and used in the last 30 days, in micro-credits. */
  money(tx: Queryable, people: readonly Person[], now: Date): Promise<Map<string, { paid: bigint; spent: bigint }>>;
  behaviour(tx: Queryable, userIds: readonly string[], now: Date): Promise<Map<string, Behaviour>>;
  /** Writes a tier, tells every copy and the audit log. */
  changeTier(tx: Queryable, userId: string, change: { tier: string; reasons: Decision["reasons"] }): Promise<void>;
  /** Tells every copy that somebody's limits are others. */
  announce(tx: Queryable, userId: string): Promise<void>;
}

export interface ReviewResult {
  reviewed: number;
  changed: number;
  more: boolean;
}

/** What rules would do with somebody. */
export interface Prospect {
  userId: string;
  tier: string;
  score: number;
  /** Null when an operator has set the tier, which rules leave alone. */
  decision: Decision | null;
}

export interface TierReview {
  /** Reviews everybody whose last review is long enough ago; at most one a day for anybody. */
  review(options?: StepOptions): Promise<ReviewResult>;
  /** What rules would do with a page of users, without doing it. `next` begins the next page. */
  dryRun(rules: TierRules, after: string | undefined, limit: number): Promise<{ items: Prospect[]; next: string | null }>;
}

const BATCH = 200;
const STEP_MS = 30_000;
/** A little less than a day, so that reviews do not creep through the day. */
const EVERY_MS = 20 * 3_600_000;
const DAY_MS = 86_400_000;
const NO_USER = "00000000-0000-0000-0000-000000000000";

/** Reviews of tiers by the rules in force. */
export function createTierReview(deps: { pool: Pool; sources: TierSources; clock?: Clock }): TierReview {
  const { pool, sources, clock = systemClock } = deps;

  async function prospects(tx: Queryable, rules: TierRules, userIds: readonly string[], now: Date) {
    const people = await sources.people(tx, userIds);
    const ids = people.map(({ userId }) => userId);
    const [money, behaviour, standings] = [
      await sources.money(tx, people, now),
      await sources.behaviour(tx, ids, now),
      await repository.standingsOf(tx, ids),
    ];
    return people.map((person) => {
      const standing = standings.get(person.userId);
      const score = behaviourScore(behaviour.get(person.userId)!);
      const facts: Facts = {
        tier: person.tier,
        ageDays: Math.floor((now.getTime() - person.createdAt.getTime()) / DAY_MS),
        ...money.get(person.userId)!,
        score,
        changedAt: standing?.changed_at ?? null,
      };
      // Who had another tier than a new account when the rules first saw it was given that by an operator.
      const ours = standing ? standing.tier === person.tier : person.tier === rules.start_tier;
      return { person, standing, facts, decision: ours ? decideTier(rules, facts, now) : null };
    });
  }

  async function reviewBatch(tx: PoolClient, now: Date): Promise<{ reviewed: number; changed: number }> {
    const inForce = await repository.newestRules(tx);
    if (!inForce?.rules.enabled) return { reviewed: 0, changed: 0 };
    const { rules, version } = inForce;
    const turns = await repository.takeTurns(tx, new Date(now.getTime() - EVERY_MS), BATCH);
    if (turns.length === 0) return { reviewed: 0, changed: 0 };
    const found = await prospects(tx, rules, turns, now);
    const standings = new Map<string, StandingRow>();
    let changed = 0;
    for (const { person, standing, facts, decision } of found) {
      const { userId } = person;
      const moves = decision !== null && decision.change !== "kept";
      const percent = limitPercent(rules, facts.score);
      standings.set(userId, {
        user_id: userId,
        tier: decision?.tier ?? standing?.tier ?? rules.start_tier,
        score: facts.score,
        limit_percent: percent,
        reviewed_at: now,
        changed_at: moves ? now : (standing?.changed_at ?? null),
      });
      if (moves) {
        changed += 1;
        await sources.changeTier(tx, userId, decision);
        await repository.insertDecision(tx, {
          user_id: userId,
          from_tier: person.tier,
          to_tier: decision.tier,
          score: facts.score,
          reasons: decision.reasons,
          facts: { age_days: facts.ageDays, paid: formatCredits(facts.paid), spent: formatCredits(facts.spent), score: facts.score },
          rules_version: version,
        });
      } else if (percent !== (standing?.limit_percent ?? 100)) await sources.announce(tx, userId);
    }
    // Whoever is not active is not reviewed, and need not be looked at again today.
    for (const userId of turns) {
      if (!standings.has(userId)) {
        standings.set(userId, {
          user_id: userId,
          tier: rules.start_tier,
          score: 0,
          limit_percent: 100,
          changed_at: null,
          ...(await repository.standingsOf(tx, [userId])).get(userId),
          reviewed_at: now,
        });
      }
    }
    await repository.putStandings(tx, [...standings.values()]);
    return { reviewed: found.length, changed };
  }

  return {
    async review({ onProgress, signal } = {}) {
      const stopped = stopAfter(STEP_MS, signal);
      const done = { reviewed: 0, changed: 0 };
      let more = true;
      while (more && !stopped()) {
        const { reviewed, changed } = await inTransaction(pool, (tx) => reviewBatch(tx, clock.now()));
        done.reviewed += reviewed;
        done.changed += changed;
        more = reviewed > 0;
        onProgress?.(done.reviewed);
      }
      return { ...done, more };
    },

    async dryRun(rules, after = NO_USER, limit) {
      const ids = await repository.pageOfSubscribers(pool, after, limit);
      const found = await inTransaction(pool, (tx) => prospects(tx, rules, ids, clock.now()));
      return {
        items: found.map(({ person, facts, decision }) => ({ userId: person.userId, tier: person.tier, score: facts.score, decision })),
        next: ids.length < limit ? null : ids.at(-1)!,
      };
    },
  };
}
