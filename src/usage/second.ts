/**
 * A call whose message was charged before it, for whoever reported it first: it stays on record, for its attempts cost what they cost, but it
 * is no request of its own. The hourly sums leave it out (`usage_roll_up`), and so does whatever reads the calls themselves.
 */
export const CHARGED_BEFORE = "charged_before";

/** SQL: a request of its own. */
export const COUNTS = `error_code IS DISTINCT FROM '${CHARGED_BEFORE}'`;

/**
 * SQL: 1 for a call whose tokens count, 0 for one that failed and is not charged: it stays on record with what was seen of it, but nobody
 * used that. The hourly sums leave such tokens out (`usage_roll_up`), and so does whatever sums up the calls themselves.
 */
export const USED = "(billable OR status <> 'failed')::integer";
