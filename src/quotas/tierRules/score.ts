/** What a user did of late: calls and sign-ins in the last seven days, payments in the last thirty. */
export interface Behaviour {
  calls: number;
  /** Calls that we would not serve for what they asked (guardrail, content). */
  refused: number;
  /** Calls that providers would not serve for what they asked. */
  rejected: number;
  failedPayments: number;
  disputes: number;
  /** The owner's failed attempts to sign in since the last success. */
  signInFailures: number;
}

/** Fewer calls than this say nothing about their share. */
const CALLS_THAT_COUNT = 20;
/** Everybody mistypes a password now and then. */
const FREE_SIGN_IN_FAILURES = 5;

const capped = (value: number, most: number): number => Math.min(Math.floor(value), most);

/**
 * How somebody behaves, from 0 to 100, whole: 100 less what follows from each kind of trouble. Half of all calls refused, or half rejected,
 * take 40 and 20, a smaller share its part; a failed payment takes 5 (20 at most), a dispute 25 (50 at most), each failed sign-in beyond
 * five takes 2 (20 at most). What providers or we do wrong takes nothing.
 */
export function behaviourScore(of: Behaviour): number {
  const share = (count: number) => (of.calls < CALLS_THAT_COUNT ? 0 : count / of.calls);
  const trouble =
    capped(share(of.refused) * 80, 40) +
    capped(share(of.rejected) * 40, 20) +
    capped(of.failedPayments * 5, 20) +
    capped(of.disputes * 25, 50) +
    capped(Math.max(0, of.signInFailures - FREE_SIGN_IN_FAILURES) * 2, 20);
  return Math.max(0, 100 - trouble);
}
