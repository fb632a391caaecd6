import type { Check } from "./checks.ts";

/** What the ledger proves of rewards: that what they say was paid is what was transferred. */
export const REWARD_CHECKS: Check[] = [
  {
    name: "a paid reward is the transfer that it names",
    needs: "reward_payments",
    sql: `SELECT r.id AS subject, r.amount AS expected, t.amount AS found
      FROM reward_payments r LEFT JOIN ledger_transfers t ON t.id = r.id WHERE r.amount IS DISTINCT FROM t.amount`,
  },
  {
    name: "what was taken back of a reward is the sum of its transfers",
    needs: "reward_reversals",
    sql: `SELECT coalesce(v.payment_id, t.reference) AS subject, coalesce(t.total, 0) AS expected, coalesce(v.recovered, 0) AS found
      FROM reward_reversals v
      FULL JOIN (
        SELECT reference, sum(amount) AS total FROM ledger_transfers WHERE id LIKE 'reversal:%' GROUP BY reference
      ) t ON t.reference = v.payment_id
      WHERE coalesce(v.recovered, 0) <> coalesce(t.total, 0)`,
  },
  {
    name: "what was held back of a reward is its transfer",
    needs: "reward_payments",
    sql: `SELECT coalesce(r.id, t.reference) AS subject, coalesce(t.total, 0) AS expected, coalesce(r.withheld, 0) AS found
      FROM reward_payments r
      FULL JOIN (
        SELECT reference, sum(amount) AS total FROM ledger_transfers WHERE id LIKE 'withheld:%' GROUP BY reference
      ) t ON t.reference = r.id
      WHERE coalesce(r.withheld, 0) <> coalesce(t.total, 0)`,
  },
  {
    name: "what is held back from somebody's rewards is for rewards of his that were taken back",
    needs: "reward_reversals",
    sql: `SELECT 'rewards of ' || user_id AS subject, sum(r.expected)::bigint AS expected, sum(r.found)::bigint AS found
      FROM (
        SELECT user_id, withheld AS expected, 0 AS found FROM reward_payments WHERE withheld > 0
        UNION ALL
        SELECT user_id, 0, withheld FROM reward_reversals WHERE withheld > 0
      ) r
      GROUP BY user_id HAVING sum(r.expected) <> sum(r.found)`,
  },
  {
    name: "a day's check-in was paid what it says",
    needs: "checkins",
    sql: `SELECT 'check-in of ' || c.user_id || ' on ' || c.day AS subject, c.reward AS expected, coalesce(r.amount, 0) AS found
      FROM checkins c LEFT JOIN reward_payments r ON r.id = 'checkin:' || c.user_id || ':' || c.day WHERE c.reward <> coalesce(r.amount, 0)`,
  },
  {
    name: "a campaign has paid what its claims say",
    needs: "campaigns",
    sql: `SELECT 'campaign ' || c.code AS subject, coalesce(t.total, 0) AS expected, c.paid AS found
      FROM campaigns c
      LEFT JOIN (
        SELECT l.campaign_id, sum(r.amount) AS total
        FROM campaign_claims l JOIN reward_payments r ON r.id = 'campaign:' || l.campaign_id || ':' || l.user_id || ':' || l.no
        GROUP BY l.campaign_id
      ) t ON t.campaign_id = c.id
      WHERE c.paid <> coalesce(t.total, 0) OR c.paid > c.budget`,
  },
];
