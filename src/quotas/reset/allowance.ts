import type { Credit } from "../../ledger/index.ts";

/** The id of the grants of a period: its allowance is `0`, what changes in mid-period add counts up from there. */
const grantId = (userId: string, startsAt: Date, nth: number): string =>
  `allowance:${userId}:${startsAt.toISOString()}${nth === 0 ? "" : `:${nth}`}`;

/** An allowance of a period as a credit that ends with it. The same `nth` of a period is credited once. */
export function allowanceOf(
  period: { userId: string; walletId: bigint; startsAt: Date; endsAt: Date; plan: string },
  amount: bigint,
  nth: number,
): Credit {
  const { userId, walletId, startsAt, endsAt, plan } = period;
  return {
    id: grantId(userId, startsAt, nth),
    walletId,
    amount,
    from: "grants:allowance",
    source: "allowance",
    type: "ALLOWANCE",
    expiresAt: endsAt,
    description: nth === 0 ? `Allowance of the plan ${plan}` : `Allowance of the plan ${plan}, added in mid-period`,
    reference: `period:${startsAt.toISOString()}`,
  };
}
