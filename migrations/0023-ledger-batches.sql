-- Many wallets at once, for what is done to all of them on one day.

-- Credits wallets, each once per id. One statement for the batch: its triggers run once. Returns the ids that were credited now.
CREATE FUNCTION ledger_credit_many(
  p_ids text[], p_wallets bigint[], p_amounts bigint[], p_from text, p_source text, p_type text, p_priority smallint, p_expires timestamptz[],
  p_descriptions text[], p_references text[]
) RETURNS SETOF text LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  origin ledger_accounts;
BEGIN
  PERFORM FROM ledger_accounts WHERE id = ANY (p_wallets) AND kind = 'wallet' ORDER BY id FOR NO KEY UPDATE;
  IF EXISTS (SELECT FROM unnest(p_wallets) AS w LEFT JOIN ledger_accounts a ON a.id = w AND a.kind = 'wallet' WHERE a.id IS NULL) THEN
    RAISE EXCEPTION 'a wallet of the batch is not there' USING ERRCODE = 'no_data_found';
  END IF;
  origin := ledger_system_account(p_from, 'CREDIT');
  RETURN QUERY INSERT INTO ledger_transfers (id, debit_account, credit_account, asset, amount, type, description, reference,
      debit_balance_after, credit_balance_after, source, priority, expires_at)
    SELECT q.id, origin.id, w.id, w.asset, q.amount, p_type, q.description, q.reference,
      origin.balance - sum(q.amount) OVER (ORDER BY q.wallet_id, q.n), w.balance + sum(q.amount) OVER (PARTITION BY w.id ORDER BY q.n),
      p_source, p_priority, q.expires_at
    FROM unnest(p_ids, p_wallets, p_amounts, p_expires, p_descriptions, p_references) WITH ORDINALITY
      AS q (id, wallet_id, amount, expires_at, description, reference, n)
    JOIN ledger_accounts w ON w.id = q.wallet_id
    WHERE NOT EXISTS (SELECT FROM ledger_transfers t WHERE t.id = q.id)
    ORDER BY q.wallet_id, q.n
    RETURNING id;
END $$;

-- Takes out of wallets what has expired, as ledger_expire_wallet does of one: in one statement for those on which nothing is held.
-- Returns the wallets, locked, as they are then.
CREATE FUNCTION ledger_expire_wallets(p_wallets bigint[], p_now timestamptz) RETURNS SETOF ledger_accounts
  LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  target ledger_accounts;
  idle bigint[];
  due bigint;
BEGIN
  PERFORM FROM ledger_accounts WHERE id = ANY (p_wallets) AND kind = 'wallet' ORDER BY id FOR NO KEY UPDATE;
  SELECT array_agg(id) INTO idle FROM ledger_accounts WHERE id = ANY (p_wallets) AND kind = 'wallet' AND next_expiry <= p_now AND balance > 0 AND held = 0;
  IF idle IS NOT NULL THEN
    target := ledger_system_account('expired', 'CREDIT');
    INSERT INTO ledger_transfers (id, debit_account, credit_account, asset, amount, type, description, debit_balance_after, credit_balance_after, grant_id)
      SELECT 'expiry:' || q.id || ':' || q.remaining, q.wallet_id, target.id, q.asset, q.remaining, 'EXPIRY', 'Credit expired',
        q.balance - sum(q.remaining) OVER (PARTITION BY q.wallet_id ORDER BY q.priority, q.expires_at, q.id),
        target.balance + sum(q.remaining) OVER (ORDER BY q.wallet_id, q.priority, q.expires_at, q.id), q.id
      FROM (
        SELECT g.id, g.wallet_id, g.remaining, g.priority, g.expires_at, a.asset, a.balance
        FROM unnest(idle) AS w JOIN ledger_accounts a ON a.id = w
        JOIN ledger_grants g ON g.wallet_id = w AND g.remaining > 0 AND g.expires_at <= p_now
      ) q
      ORDER BY q.wallet_id, q.priority, q.expires_at, q.id;
  END IF;
  FOR due IN
    SELECT id FROM ledger_accounts WHERE id = ANY (p_wallets) AND kind = 'wallet' AND next_expiry <= p_now AND balance > held AND held > 0 ORDER BY id
  LOOP
    PERFORM ledger_expire_wallet(due, p_now);
  END LOOP;
  RETURN QUERY SELECT * FROM ledger_accounts WHERE id = ANY (p_wallets) AND kind = 'wallet' ORDER BY id;
END $$;

-- As before, and what calls that began before an expiry may still burn of the credit stays for them, also when the wallet has other
-- credit: they are paid with what was there when they began, not with the next period's allowance.
CREATE OR REPLACE FUNCTION ledger_expire_wallet(p_wallet bigint, p_now timestamptz) RETURNS bigint LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wallet ledger_accounts;
  target ledger_accounts;
  due record;
  taken bigint := 0;
  kept bigint := 0;
  keep bigint;
  part bigint;
BEGIN
  SELECT * INTO STRICT wallet FROM ledger_accounts WHERE id = p_wallet AND kind = 'wallet';
  IF wallet.next_expiry IS NULL OR wallet.next_expiry > p_now OR wallet.balance <= wallet.held THEN RETURN 0; END IF;
  FOR due IN
    SELECT id, remaining, expires_at FROM ledger_grants
    WHERE wallet_id = p_wallet AND remaining > 0 AND expires_at <= p_now
    ORDER BY priority, expires_at, id
  LOOP
    keep := CASE WHEN wallet.held = 0 THEN 0 ELSE least(due.remaining, greatest(0, (
      SELECT coalesce(sum(h.amount), 0) FROM ledger_holds h WHERE h.state = 'held' AND h.wallet_id = p_wallet AND h.created_at < due.expires_at
    ) - kept)) END;
    kept := kept + keep;
    part := least(due.remaining - keep, wallet.balance - wallet.held - taken);
    CONTINUE WHEN part <= 0;
    IF target IS NULL THEN target := ledger_system_account('expired', wallet.asset); END IF;
    taken := taken + part;
    INSERT INTO ledger_transfers (id, debit_account, credit_account, asset, amount, type, description, debit_balance_after, credit_balance_after, grant_id)
      VALUES ('expiry:' || due.id || ':' || due.remaining, p_wallet, target.id, wallet.asset, part, 'EXPIRY', 'Credit expired',
        wallet.balance - taken, target.balance + taken, due.id);
  END LOOP;
  RETURN taken;
END $$;
