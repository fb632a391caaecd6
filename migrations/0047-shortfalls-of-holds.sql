-- What could not be capped may cost more than its hold, and owes what its wallet does not cover as what never had a hold does. What is owed is
-- spent like what is charged, so it counts on the budgets of the hold.
ALTER TABLE ledger_settlements DROP CONSTRAINT ledger_settlements_check1,
  ADD CONSTRAINT ledger_settlements_owed CHECK (owed >= 0 AND charged + owed <= cost);

CREATE OR REPLACE FUNCTION ledger_count_settled() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_RELID <> 'public.ledger_settlements'::regclass THEN
    RAISE EXCEPTION 'only ledger_settlements counts as spent' USING ERRCODE = 'restrict_violation';
  END IF;
  IF EXISTS (SELECT FROM settled WHERE budgets IS NOT NULL AND (charged + owed > 0 OR counts IS NOT NULL)) THEN
    PERFORM FROM public.ledger_budgets WHERE no IN (SELECT unnest(budgets) FROM settled) ORDER BY no FOR NO KEY UPDATE;
    UPDATE public.ledger_budgets b SET spent = b.spent + d.amount FROM (SELECT u.no, sum(coalesce(u.n, o.charged + o.owed))::bigint AS amount FROM settled o CROSS JOIN unnest(o.budgets, o.counts) AS u (no, n) GROUP BY u.no) d WHERE b.no = d.no;
  END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION ledger_check_budgets() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stack text;
BEGIN
  GET DIAGNOSTICS stack = PG_CONTEXT;
  stack := substr(stack, strpos(stack, E'\n') + 1);
  IF starts_with(stack, 'SQL statement "UPDATE public.ledger_budgets b SET held = b.held + d.amount FROM (SELECT u.no, sum(coalesce(u.n, o.amount))::bigint AS amount FROM opened o CROSS JOIN unnest(o.budgets, o.counts) AS u (no, n) GROUP BY u.no) d WHERE b.no = d.no"' || E'\nPL/pgSQL function public.ledger_count_opened() line ')
    OR starts_with(stack, 'SQL statement "UPDATE public.ledger_budgets b SET held = b.held - d.amount FROM (SELECT u.no, sum(coalesce(u.n, o.amount))::bigint AS amount FROM after_rows o CROSS JOIN unnest(o.budgets, o.counts) AS u (no, n) WHERE o.state <> ''held'' GROUP BY u.no) d WHERE b.no = d.no"' || E'\nPL/pgSQL function public.ledger_count_closed() line ')
    OR starts_with(stack, 'SQL statement "UPDATE public.ledger_budgets b SET spent = b.spent + d.amount FROM (SELECT u.no, sum(coalesce(u.n, o.charged + o.owed))::bigint AS amount FROM settled o CROSS JOIN unnest(o.budgets, o.counts) AS u (no, n) GROUP BY u.no) d WHERE b.no = d.no"' || E'\nPL/pgSQL function public.ledger_count_settled() line ')
  THEN
    RETURN NULL;
  END IF;
  IF EXISTS (
    SELECT FROM changed c
    WHERE c.held <> (SELECT coalesce(sum(coalesce(u.n, h.amount)), 0) FROM public.ledger_holds h CROSS JOIN unnest(h.budgets, h.counts) AS u (no, n)
        WHERE h.state = 'held' AND h.budgets @> ARRAY[c.no] AND u.no = c.no)
      OR c.spent <> c.opening + (SELECT coalesce(sum(coalesce(u.n, s.charged + s.owed)), 0) FROM public.ledger_settlements s CROSS JOIN unnest(s.budgets, s.counts) AS u (no, n)
        WHERE s.budgets IS NOT NULL AND s.budgets @> ARRAY[c.no] AND u.no = c.no)
  ) THEN
    RAISE EXCEPTION 'UPDATE of ledger_budgets is refused: counters follow from holds and settlements' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION ledger_check_settlements() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp
  -- By index always: a plan made while the tables were small is kept when they have grown.
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  wrong record;
BEGIN
  SELECT s.id, reason INTO wrong
    FROM settled s
    LEFT JOIN ledger_accounts a ON a.id = s.wallet_id AND a.kind = 'wallet'
    LEFT JOIN ledger_transfers t ON t.id = 'usage:' || s.id
    LEFT JOIN ledger_holds h ON h.id = s.hold_id AND h.wallet_id = s.wallet_id
    CROSS JOIN LATERAL (SELECT CASE
      WHEN a.id IS NULL THEN 'there is no such wallet'
      WHEN s.created_at <> now() THEN 'created_at is not now'
      WHEN s.charged = 0 AND t.id IS NOT NULL THEN 'there is a transfer'
      WHEN s.charged > 0 AND (t.amount, t.debit_account, t.debit_balance_after, t.created_at)
        IS DISTINCT FROM (s.charged, s.wallet_id, s.balance_after, now()) THEN 'no transfer of now charges it'
      WHEN s.hold_id IS NULL AND s.hold_missing THEN 'it never had a hold'
      WHEN (s.hold_id IS NULL OR s.owed > 0) AND s.charged + s.owed <> s.cost THEN 'what is not charged is not owed'
      WHEN NOT s.hold_missing AND s.hold_id IS NOT NULL AND (h.state, h.closed_at) IS DISTINCT FROM ('settled', now()) THEN 'its hold was not settled now'
      WHEN NOT s.hold_missing AND s.hold_id IS NOT NULL AND s.charged < least(s.cost, h.amount) THEN 'its hold covers more'
      WHEN s.hold_missing AND h.state = 'held' THEN 'its hold is there'
      WHEN s.owed > 0 AND NOT EXISTS (SELECT FROM ledger_shortfalls d WHERE (d.id, d.wallet_id, d.amount, d.created_at) = (s.id, s.wallet_id, s.owed, now())) THEN 'no shortfall of now says what is owed'
      WHEN s.budgets IS DISTINCT FROM h.budgets THEN 'it counts on other budgets than its hold'
      WHEN (s.hold_missing OR s.charged + s.owed < s.cost) AND NOT EXISTS (
        SELECT FROM ledger_incidents i WHERE i.reference = s.id AND i.at = now()
          AND i.kind = CASE WHEN s.hold_missing THEN 'hold_missing' ELSE 'uncharged' END
          AND i.details = jsonb_build_object('wallet', s.wallet_id::text, 'hold', s.hold_id, 'cost', s.cost::text,
            'charged', s.charged::text, 'uncharged', (s.cost - s.charged)::text)) THEN 'no incident of now explains it'
    END AS reason) verdict
    WHERE reason IS NOT NULL
    LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'settlement % is refused: %', wrong.id, wrong.reason USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
