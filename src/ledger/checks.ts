import { RENDER_CHECKS } from "./checks-render.ts";
import { REWARD_CHECKS } from "./checks-rewards.ts";

/** One thing that must hold. The statement returns a row (subject, expected, found) for each place where it does not. */
export interface Check {
  name: string;
  sql: string;
  /** Expected and found are text, not micro-credits. */
  plain?: boolean;
  /** Takes {@link GUARDS} as its parameter. */
  guards?: boolean;
  /** A table of another domain, without which there is nothing to check. */
  needs?: string;
}

/** The triggers and constraints that must be there, the triggers enabled ALWAYS. */
export const GUARDS = [
  "ledger_never_negative",
  "ledger_held_is_covered",
  "ledger_accounts_balance",
  "ledger_accounts_expiry",
  "ledger_accounts_fixed",
  "ledger_accounts_held",
  "ledger_accounts_keep",
  "ledger_accounts_open",
  "ledger_accounts_owes_nothing",
  "ledger_accounts_shortfall",
  "ledger_budgets_counted",
  "ledger_budgets_fixed",
  "ledger_budgets_keep",
  "ledger_budgets_no_truncate",
  "ledger_budgets_open",
  "ledger_burns_keep",
  "ledger_burns_made",
  "ledger_grants_fixed",
  "ledger_grants_keep",
  "ledger_grants_made",
  "ledger_grants_remaining",
  "ledger_holds_closed",
  "ledger_holds_fixed",
  "ledger_holds_keep",
  "ledger_holds_no_truncate",
  "ledger_holds_open",
  "ledger_holds_opened",
  "ledger_incidents_agree",
  "ledger_incidents_keep",
  "ledger_settlements_counted",
  "ledger_settlements_counts",
  "ledger_settlements_keep",
  "ledger_settlements_made",
  "ledger_shortfall_of_wallet",
  "ledger_shortfalls_begin",
  "ledger_shortfalls_counted",
  "ledger_shortfalls_fixed",
  "ledger_shortfalls_keep",
  "ledger_shortfalls_made",
  "ledger_shortfalls_paid",
  "ledger_shortfalls_recounted",
  "ledger_transfers_apply",
  "ledger_transfers_keep",
];

/** Both sides of every transfer. */
const LEGS = `(
  SELECT id, seq, asset, debit_account AS account_id, -amount AS delta, debit_balance_after AS after FROM ledger_transfers
  UNION ALL
  SELECT id, seq, asset, credit_account, amount, credit_balance_after FROM ledger_transfers
)`;

/** What the ledger proves of itself. */
export const CHECKS: Check[] = [
  {
    name: "the balances of an asset sum to zero",
    sql: "SELECT asset AS subject, 0 AS expected, sum(balance) AS found FROM ledger_accounts GROUP BY asset HAVING sum(balance) <> 0",
  },
  {
    name: "a balance is the sum of the account's transfers",
    sql: `SELECT a.code AS subject, coalesce(t.total, 0) AS expected, a.balance AS found
      FROM ledger_accounts a LEFT JOIN (SELECT account_id, sum(delta) AS total FROM ${LEGS} l GROUP BY account_id) t ON t.account_id = a.id
      WHERE a.balance <> coalesce(t.total, 0)`,
  },
  {
    name: "a transfer names accounts of its asset",
    plain: true,
    sql: `SELECT l.id AS subject, 'an account of ' || l.asset AS expected, coalesce(a.code || ' of ' || a.asset, 'account ' || l.account_id) AS found
      FROM ${LEGS} l LEFT JOIN ledger_accounts a ON a.id = l.account_id WHERE a.id IS NULL OR a.asset <> l.asset`,
  },
  {
    name: "each balance after a transfer follows from the one before",
    sql: `SELECT DISTINCT ON (subject) subject, expected, found FROM (
        SELECT a.code || ' at ' || l.id AS subject, a.id AS account_id, l.seq, l.after AS found,
          l.delta + coalesce(lag(l.after) OVER (PARTITION BY l.account_id ORDER BY l.seq), 0) AS expected
        FROM ${LEGS} l JOIN ledger_accounts a ON a.id = l.account_id
      ) chain WHERE expected <> found ORDER BY subject, seq`,
  },
  {
    name: "an account knows its newest transfer",
    plain: true,
    sql: `SELECT a.code AS subject, coalesce(t.newest, 0) AS expected, a.last_seq AS found
      FROM ledger_accounts a LEFT JOIN (SELECT account_id, max(seq) AS newest FROM ${LEGS} l GROUP BY account_id) t ON t.account_id = a.id
      WHERE a.last_seq <> coalesce(t.newest, 0)`,
  },
  {
    name: "what is held is the sum of the open holds",
    sql: `SELECT coalesce(a.code, 'account ' || h.wallet_id) AS subject, coalesce(h.total, 0) AS expected, coalesce(a.held, 0) AS found
      FROM ledger_accounts a
      FULL JOIN (SELECT wallet_id, sum(amount) AS total FROM ledger_holds WHERE state = 'held' GROUP BY wallet_id) h ON h.wallet_id = a.id
      WHERE coalesce(a.held, 0) <> coalesce(h.total, 0)`,
  },
  {
    name: "a wallet is not below zero",
    sql: "SELECT code AS subject, 0 AS expected, balance AS found FROM ledger_accounts WHERE kind = 'wallet' AND balance < 0",
  },
  {
    name: "a wallet holds no more than it has",
    sql: "SELECT code AS subject, greatest(balance, 0) AS expected, held AS found FROM ledger_accounts WHERE held < 0 OR (held > 0 AND held > balance)",
  },
  {
    name: "a wallet's balance is what is left of its grants",
    sql: `SELECT coalesce(a.code, 'account ' || g.wallet_id) AS subject, coalesce(g.total, 0) AS expected, coalesce(a.balance, 0) AS found
      FROM (SELECT * FROM ledger_accounts WHERE kind = 'wallet') a
      FULL JOIN (SELECT wallet_id, sum(remaining) AS total FROM ledger_grants GROUP BY wallet_id) g ON g.wallet_id = a.id
      WHERE coalesce(a.balance, 0) <> coalesce(g.total, 0)`,
  },
  {
    name: "a credited wallet has the grant of that transfer",
    sql: `SELECT coalesce(t.id, g.transfer_id) AS subject, t.amount AS expected, g.amount AS found
      FROM (SELECT t.* FROM ledger_transfers t JOIN ledger_accounts a ON a.id = t.credit_account AND a.kind = 'wallet') t
      FULL JOIN ledger_grants g ON g.transfer_id = t.id
      WHERE (t.amount, t.credit_account, t.source, t.priority, t.expires_at) IS DISTINCT FROM (g.amount, g.wallet_id, g.source, g.priority, g.expires_at)`,
  },
  {
    name: "a debited wallet's grants were burned by as much",
    sql: `SELECT coalesce(t.id, b.transfer_id) AS subject, coalesce(t.amount, 0) AS expected, coalesce(b.total, 0) AS found
      FROM (SELECT t.* FROM ledger_transfers t JOIN ledger_accounts a ON a.id = t.debit_account AND a.kind = 'wallet') t
      FULL JOIN (
        SELECT b.transfer_id, g.wallet_id, sum(b.amount) AS total FROM ledger_burns b LEFT JOIN ledger_grants g ON g.id = b.grant_id
        GROUP BY b.transfer_id, g.wallet_id
      ) b ON b.transfer_id = t.id AND b.wallet_id = t.debit_account
      WHERE coalesce(t.amount, 0) <> coalesce(b.total, 0)`,
  },
  {
    name: "what is left of a grant is what was not burned",
    sql: `SELECT 'grant ' || g.id || ' of ' || g.transfer_id AS subject, g.amount - coalesce(b.total, 0) AS expected, g.remaining AS found
      FROM ledger_grants g LEFT JOIN (SELECT grant_id, sum(amount) AS total FROM ledger_burns GROUP BY grant_id) b ON b.grant_id = g.id
      WHERE g.remaining <> g.amount - coalesce(b.total, 0)`,
  },
  {
    name: "a wallet knows its next expiry",
    plain: true,
    sql: `SELECT a.code AS subject, g.soonest AS expected, a.next_expiry AS found
      FROM ledger_accounts a
      LEFT JOIN (SELECT wallet_id, min(expires_at) AS soonest FROM ledger_grants WHERE remaining > 0 GROUP BY wallet_id) g ON g.wallet_id = a.id
      WHERE a.next_expiry IS DISTINCT FROM g.soonest`,
  },
  {
    name: "a settlement charged what its transfer says",
    sql: `SELECT coalesce(t.id, 'usage:' || s.id) AS subject, coalesce(s.charged, 0) AS expected, coalesce(t.amount, 0) AS found
      FROM ledger_settlements s FULL JOIN (SELECT * FROM ledger_transfers WHERE id LIKE 'usage:%') t ON t.id = 'usage:' || s.id
      WHERE coalesce(s.charged, 0) <> coalesce(t.amount, 0) OR (t.id IS NOT NULL AND s.wallet_id <> t.debit_account)`,
  },
  {
    name: "a settled item's hold is closed",
    plain: true,
    sql: `SELECT 'hold ' || h.id || ' of ' || s.id AS subject, 'settled' AS expected, h.state AS found
      FROM ledger_holds h JOIN ledger_settlements s ON s.hold_id = h.id AND s.wallet_id = h.wallet_id AND s.created_at > h.created_at
      WHERE h.state = 'held'`,
  },
  {
    name: "a settlement without its hold or below its cost is an incident that agrees with it",
    plain: true,
    sql: `SELECT s.id AS subject,
        CASE WHEN s.hold_missing THEN 'hold_missing' ELSE 'uncharged' END || ': ' || s.charged || ' of ' || s.cost AS expected,
        i.kind || ': ' || (i.details ->> 'charged') || ' of ' || (i.details ->> 'cost') AS found
      FROM ledger_settlements s LEFT JOIN ledger_incidents i ON i.reference = s.id AND i.kind IN ('hold_missing', 'uncharged')
      WHERE CASE WHEN s.hold_missing OR s.charged + s.owed < s.cost
        THEN (i.kind, i.details ->> 'charged', i.details ->> 'cost')
          IS DISTINCT FROM (CASE WHEN s.hold_missing THEN 'hold_missing' ELSE 'uncharged' END, s.charged::text, s.cost::text)
        ELSE i.id IS NOT NULL END`,
  },
  {
    name: "what a settlement left owed is its shortfall, and that its transfer",
    sql: `SELECT coalesce(s.id, o.id, t.item) AS subject, coalesce(s.owed, 0) AS expected, least(coalesce(o.amount, 0), coalesce(t.amount, 0)) AS found
      FROM (SELECT * FROM ledger_settlements WHERE owed > 0) s
      FULL JOIN ledger_shortfalls o ON o.id = s.id
      FULL JOIN (SELECT substr(id, 11) AS item, amount FROM ledger_transfers WHERE id LIKE 'shortfall:%') t ON t.item = coalesce(s.id, o.id)
      WHERE (s.owed, s.wallet_id) IS DISTINCT FROM (o.amount, o.wallet_id) OR s.owed IS DISTINCT FROM t.amount`,
  },
  {
    name: "what was collected of a shortfall is the sum of its transfers",
    sql: `SELECT coalesce(o.id, t.reference) AS subject, coalesce(t.total, 0) AS expected, coalesce(o.collected, 0) AS found
      FROM ledger_shortfalls o
      FULL JOIN (
        SELECT reference, debit_account, sum(amount) AS total FROM ledger_transfers WHERE id LIKE 'collect:%' GROUP BY reference, debit_account
      ) t ON t.reference = o.id AND t.debit_account = o.wallet_id
      WHERE coalesce(o.collected, 0) <> coalesce(t.total, 0)`,
  },
  {
    name: "what a wallet owes is the sum of its open shortfalls",
    sql: `SELECT coalesce(a.code, 'account ' || o.wallet_id) AS subject, coalesce(o.total, 0) AS expected, coalesce(a.shortfall, 0) AS found
      FROM ledger_accounts a
      FULL JOIN (SELECT wallet_id, sum(amount - collected) AS total FROM ledger_shortfalls GROUP BY wallet_id) o ON o.wallet_id = a.id
      WHERE coalesce(a.shortfall, 0) <> coalesce(o.total, 0)`,
  },
  {
    name: "what is unpaid is what all wallets owe",
    sql: `SELECT asset AS subject, -sum(shortfall) AS expected, sum(balance) FILTER (WHERE code = 'unpaid') AS found
      FROM ledger_accounts GROUP BY asset HAVING coalesce(sum(balance) FILTER (WHERE code = 'unpaid'), 0) <> -sum(shortfall)`,
  },
  {
    name: "a wallet that owes has nothing to spend",
    sql: "SELECT code AS subject, held AS expected, balance AS found FROM ledger_accounts WHERE shortfall > 0 AND balance > held",
  },
  {
    name: "what a budget holds is the sum of its open holds",
    sql: `SELECT coalesce(b.id || ' ' || b.period, 'budget ' || h.no) AS subject, coalesce(h.total, 0) AS expected, coalesce(b.held, 0) AS found
      FROM ledger_budgets b
      FULL JOIN (
        SELECT u.no, sum(coalesce(u.n, h.amount)) AS total FROM ledger_holds h CROSS JOIN unnest(h.budgets, h.counts) AS u (no, n)
        WHERE h.state = 'held' GROUP BY u.no
      ) h ON h.no = b.no
      WHERE coalesce(b.held, 0) <> coalesce(h.total, 0)`,
  },
  {
    name: "what is spent of a budget is what was settled on it",
    sql: `SELECT b.id || ' ' || b.period AS subject, b.opening + coalesce(s.total, 0) AS expected, b.spent AS found
      FROM ledger_budgets b
      LEFT JOIN (
        SELECT u.no, sum(coalesce(u.n, s.charged + s.owed)) AS total FROM ledger_settlements s CROSS JOIN unnest(s.budgets, s.counts) AS u (no, n)
        GROUP BY u.no
      ) s ON s.no = b.no
      WHERE b.spent <> b.opening + coalesce(s.total, 0)`,
  },
  {
    name: "a settlement counts on the budgets of its hold",
    plain: true,
    sql: `SELECT s.id AS subject, h.budgets AS expected, s.budgets AS found
      FROM ledger_settlements s JOIN ledger_holds h ON h.id = s.hold_id AND h.wallet_id = s.wallet_id AND s.created_at > h.created_at
      WHERE s.budgets IS DISTINCT FROM h.budgets`,
  },
  {
    name: "a settlement counts what its hold says",
    plain: true,
    sql: `SELECT s.id AS subject, ledger_settled_counts(h.budgets, h.counts, h.tokens) AS expected, s.counts AS found
      FROM ledger_settlements s JOIN ledger_holds h ON h.id = s.hold_id AND h.wallet_id = s.wallet_id AND s.created_at > h.created_at
      WHERE h.counts IS NOT NULL AND s.counts IS DISTINCT FROM ledger_settled_counts(h.budgets, h.counts, h.tokens)
        AND NOT EXISTS (SELECT FROM unnest(h.budgets) AS forgotten WHERE forgotten NOT IN (SELECT no FROM ledger_budgets))`,
  },
  {
    name: "a settled call says what its settlement charged",
    needs: "usage_events",
    sql: `SELECT 'call ' || u.id AS subject, s.charged + s.owed AS expected, u.cost AS found
      FROM ledger_settlements s JOIN usage_events u ON u.id::text = s.id
      WHERE u.settled_at IS NOT NULL
        AND (u.wallet_id, u.cost, coalesce(u.uncharged, 0)) IS DISTINCT FROM (s.wallet_id, s.charged + s.owed, s.cost - s.charged - s.owed)`,
  },
  ...REWARD_CHECKS,
  ...RENDER_CHECKS,
  {
    name: "the guards of recorded calls are on",
    plain: true,
    needs: "usage_events",
    sql: `SELECT p.relid::text || '.' || g.name AS subject, 'enabled always' AS expected,
        CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'O' THEN 'off for replicas' WHEN 'R' THEN 'on for replicas only' ELSE 'missing' END AS found
      -- Not pg_partition_tree: it sees days that were made since, whose guards this transaction does not.
      FROM (SELECT 'usage_events'::regclass AS relid UNION ALL SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'usage_events'::regclass) p
      CROSS JOIN (VALUES ('usage_events_fixed'), ('usage_events_keep'), ('usage_events_no_truncate'), ('usage_events_settled')) AS g (name)
      LEFT JOIN pg_trigger t ON t.tgrelid = p.relid AND t.tgname = g.name
      WHERE t.tgenabled IS DISTINCT FROM 'A'`,
  },
  {
    name: "the guards of the ledger are on",
    plain: true,
    guards: true,
    sql: `WITH ours AS (SELECT oid FROM pg_class WHERE relname LIKE 'ledger\\_%' AND relnamespace = 'public'::regnamespace)
      SELECT g.name AS subject, 'enabled always' AS expected,
        CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'O' THEN 'off for replicas' WHEN 'R' THEN 'on for replicas only' ELSE 'missing' END AS found
      FROM unnest($1::text[]) AS g (name)
      LEFT JOIN pg_trigger t ON t.tgname = g.name AND t.tgrelid IN (SELECT oid FROM ours)
      LEFT JOIN pg_constraint c ON c.conname = g.name AND c.conrelid IN (SELECT oid FROM ours) AND c.convalidated
      WHERE t.tgenabled IS DISTINCT FROM 'A' AND c.oid IS NULL`,
  },
];
