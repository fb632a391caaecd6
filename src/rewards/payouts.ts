import type { Emit } from "../activity/index.ts";
import type { Ledger } from "../ledger/index.ts";
import { formatCredits } from "../platform/credits.ts";
import type { Metrics } from "../platform/metrics.ts";
import { inTransaction, type Pool, type PoolClient } from "../platform/postgres.ts";
import { withholding, type Withheld } from "./reversals/withhold.ts";

export const REWARD_KINDS = ["checkin", "welcome", "referrer", "referred", "campaign"] as const;
export type RewardKind = (typeof REWARD_KINDS)[number];

/** Credit to be given to somebody. */
export interface Reward {
  /** Id of the transfer: the same id is never paid twice, whatever the amount. */
  id: string;
  kind: RewardKind;
  userId: string;
  /** Micro-credits; 0 pays nothing. */
  amount: bigint;
  at: Date;
  description: string;
  reference: string;
  priority?: number;
  /** 0: never. */
  expiresDays: number;
}

/**
 * Pays inside the caller's transaction; what is missing of earlier rewards that were taken back is held back of it at once. Answers the balance
 * right after it, or undefined when it was paid before or is nothing. The row of a check-in or claim is to be there: it gets that balance.
 */
export type Pay = (reward: Reward) => Promise<bigint | undefined>;

export interface Payouts {
  /**
   * One transaction in which rewards are paid: whatever `work` writes beside is committed with the credit or not at all. What was paid
   * is counted and told after the commit. Pay last, after every other row is written: the account that pays is one row that all rewards of its kind wait for.
   */
  run<T>(work: (tx: PoolClient, pay: Pay) => Promise<T>): Promise<T>;
}

const DAY_MS = 86_400_000;

/** The account that pays: one for each campaign of giving, so that what was given for what can be read off the ledger. */
export const PAYERS: Record<RewardKind, string> = {
  checkin: "grants:checkin",
  welcome: "grants:welcome",
  referrer: "grants:referral",
  referred: "grants:referral",
  campaign: "grants:campaign",
};

/** The only way in which this domain gives credit. */
export function createPayouts(deps: {
  pool: Pool;
  ledger: Pick<Ledger, "creditAnd" | "ensureWallet">;
  metrics: Metrics;
  emit: Emit;
}): Payouts {
  const { pool, ledger, metrics, emit } = deps;
  const paid = metrics.counters({ name: "tollkeeper_rewards_total", help: "Rewards paid, by kind.", labels: ["kind"] });
  const credits = metrics.counters({
    name: "tollkeeper_reward_credits_total",
    help: "Credits given as rewards, by kind.",
    labels: ["kind"],
  });
  const heldBack = metrics.counters({
    name: "tollkeeper_reward_credits_withheld_total",
    help: "Credits of rewards held back because earlier ones of the same person could not be taken back, by kind.",
    labels: ["kind"],
  });
  for (const kind of REWARD_KINDS) {
    paid.of(kind);
    credits.of(kind);
    heldBack.of(kind);
  }

  async function pay(tx: PoolClient, reward: Reward): Promise<{ balance: bigint; withheld: Withheld[] } | undefined> {
    const { id, kind, userId, amount, at, description, reference, priority, expiresDays } = reward;
    if (amount === 0n) return undefined;
    const { rowCount } = await tx.query(
      "INSERT INTO reward_payments (id, kind, user_id, amount, paid_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING",
      [id, kind, userId, amount, at],
    );
    if (rowCount === 0) return undefined;
    const walletId = await ledger.ensureWallet(tx, { type: "user", id: userId });
    const from = PAYERS[kind];
    const type = kind === "checkin" ? "CHECKIN" : "BONUS";
    const { more, partsOf } = await withholding(tx, { id, kind, userId, amount });
    const credit = {
      id,
      walletId,
      amount,
      from,
      source: kind === "checkin" ? ("checkin" as const) : ("bonus" as const),
      type,
      ...(priority === undefined ? {} : { priority }),
      expiresAt: expiresDays === 0 ? null : new Date(at.getTime() + expiresDays * DAY_MS),
      description,
      reference,
    } as const;
    // The last statement of all: it locks what all rewards share.
    const { balance, followed } = await ledger.creditAnd(tx, credit, more);
    return { balance, withheld: partsOf(followed) };
  }

  return {
    async run(work) {
      const done: (Reward & { withheld: Withheld[] })[] = [];
      const result = await inTransaction(pool, (tx) =>
        work(tx, async (reward) => {
          const given = await pay(tx, reward);
          if (given) done.push({ ...reward, withheld: given.withheld });
          return given?.balance;
        }),
      );
      for (const { id, kind, userId, amount, withheld } of done) {
        paid.of(kind).add();
        credits.of(kind).add(Number(amount) / 1e6);
        emit({ kind: "reward.granted", user_id: userId, reward: kind, amount: formatCredits(amount), transfer_id: id });
        for (const part of withheld) {
          heldBack.of(kind).add(Number(part.amount) / 1e6);
          const { kind: reward, orderNo: order_no, transferId: transfer_id } = part;
          emit({ kind: "reward.reversed", user_id: userId, reward, amount: formatCredits(part.amount), order_no, transfer_id });
        }
      }
      return result;
    },
  };
}
