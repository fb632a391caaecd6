import type { CreditFollow, Less } from "../../ledger/index.ts";
import type { Queryable } from "../../platform/postgres.ts";
import type { RewardKind } from "../payouts.ts";
import { dueReversals } from "./repository.ts";

/** What was held back of a reward for an earlier one. Micro-credits. */
export interface Withheld {
  kind: RewardKind;
  orderNo: string;
  amount: bigint;
  transferId: string;
}

/**
 * Holds back of a reward what is missing of earlier ones that were taken back: it returns to whoever paid it. Locks these, so that one reward of
 * a person goes after the other, and answers what is to be done in the statement that credits; `partsOf` reads what that statement answered.
 */
export async function withholding(
  tx: Queryable,
  { id, kind, userId, amount }: { id: string; kind: RewardKind; userId: string; amount: bigint },
): Promise<{ more: { less: Less; follow: CreditFollow }; partsOf(followed: unknown): Withheld[] }> {
  const due = await dueReversals(tx, userId);
  const missing = due.reduce((sum, { missing: part }) => sum + part, 0n);
  const less: Less = {
    id: `withheld:${id}`,
    most: missing < amount ? missing : amount,
    description: "Held back: rewards of refunded top-ups were spent",
  };
  const ids = due.map((one) => one.payment_id);
  const follow: CreditFollow = { call: "reward_paid", values: [id, kind, ids, due.map((one) => one.missing)] };
  return {
    more: { less, follow },
    partsOf: (followed) =>
      (followed as { id: string; part: string }[]).map(({ id: paymentId, part }) => {
        const { kind: of, order_no: orderNo } = due.find((one) => one.payment_id === paymentId)!;
        return { kind: of, orderNo, amount: BigInt(part), transferId: less.id };
      }),
  };
}
