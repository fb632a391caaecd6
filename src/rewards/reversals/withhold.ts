import type { Ledger } from "../../ledger/index.ts";
import type { Queryable } from "../../platform/postgres.ts";
import type { RewardKind } from "../payouts.ts";
import { dueReversals, noteWithheld } from "./repository.ts";

/** A reward that was just paid. Amounts in micro-credits. */
export interface Paid {
  /** Its transfer. */
  id: string;
  userId: string;
  walletId: bigint;
  amount: bigint;
  /** The account that paid. */
  from: string;
  type: "CHECKIN" | "BONUS";
}

/** What was held back of a reward for an earlier one. */
export interface Withheld {
  kind: RewardKind;
  orderNo: string;
  amount: bigint;
  transferId: string;
}

/**
 * Holds back of a reward what is missing of earlier ones that were taken back: it returns to whoever paid it. In the transaction that pays,
 * after the credit, whose lock on the wallet lets one reward of a person go after the other.
 */
export async function withhold(tx: Queryable, ledger: Pick<Ledger, "takeBack">, paid: Paid): Promise<Withheld[]> {
  const due = await dueReversals(tx, paid.userId);
  if (due.length === 0) return [];
  const missing = due.reduce((sum, { missing: part }) => sum + part, 0n);
  const transferId = `withheld:${paid.id}`;
  const { taken } = await ledger.takeBack(tx, {
    id: transferId,
    walletId: paid.walletId,
    grantOf: paid.id,
    most: missing < paid.amount ? missing : paid.amount,
    to: paid.from,
    type: paid.type,
    description: "Held back: rewards of refunded top-ups were spent",
    reference: paid.id,
  });
  let left = taken;
  const parts = due.flatMap(({ payment_id: paymentId, kind, order_no: orderNo, missing: part }) => {
    const amount = part < left ? part : left;
    left -= amount;
    return amount === 0n ? [] : [{ paymentId, kind, orderNo, amount }];
  });
  if (parts.length > 0) await noteWithheld(tx, paid.id, parts);
  return parts.map(({ kind, orderNo, amount }) => ({ kind, orderNo, amount, transferId }));
}
