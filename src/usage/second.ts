/**
 * A call whose message was charged before it, for whoever reported it first: it stays on record, for its attempts cost what they cost, but it
 * is no request of its own. The hourly sums leave it out (`usage_roll_up`), and so does whatever reads the calls themselves.
 */
export const CHARGED_BEFORE = "charged_before";

/** SQL: a request of its own. */
export const COUNTS = `error_code IS DISTINCT FROM '${CHARGED_BEFORE}'`;
