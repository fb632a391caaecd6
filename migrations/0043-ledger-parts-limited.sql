-- As before; a hold that counts on budgets is never overdrawn.
CREATE OR REPLACE FUNCTION ledger_settle_part(
  p_id text, p_hold uuid, p_next uuid, p_wallet bigint, p_cost bigint, p_to text, p_type text, p_description text, p_reference text, p_ttl bigint,
  OUT kind text, OUT charged bigint, OUT balance_after bigint, OUT rest bigint, OUT available bigint
) LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  wallet ledger_accounts;
  target ledger_accounts;
  hold ledger_holds;
  before ledger_settlements;
BEGIN
  SELECT * INTO wallet FROM ledger_accounts WHERE id = p_wallet AND ledger_accounts.kind = 'wallet' FOR NO KEY UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'there is no wallet %', p_wallet USING ERRCODE = 'no_data_found'; END IF;
  SELECT * INTO before FROM ledger_settlements s WHERE s.id = p_id;
  IF FOUND THEN
    kind := 'repeated';
    charged := before.charged;
    balance_after := before.balance_after;
    RETURN;
  END IF;
  SELECT * INTO hold FROM ledger_holds WHERE id = p_hold AND wallet_id = p_wallet AND state = 'held' FOR UPDATE;
  IF NOT FOUND THEN
    kind := 'missing';
    RETURN;
  END IF;
  IF ledger_expire_wallet(p_wallet, now()) > 0 THEN SELECT * INTO wallet FROM ledger_accounts WHERE id = p_wallet; END IF;
  available := wallet.balance - wallet.held;
  -- What its budgets leave is not known here: beyond the hold they are asked by a larger one.
  IF p_cost > hold.amount + (CASE WHEN hold.budgets IS NULL THEN available ELSE 0 END) THEN
    kind := 'refused';
    rest := hold.amount;
    RETURN;
  END IF;

  rest := greatest(hold.amount - p_cost, 0);
  UPDATE ledger_holds SET state = 'settled', closed_at = now() WHERE id = p_hold;
  INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at, budgets, counts)
    VALUES (p_next, p_wallet, rest, hold.owner, greatest(hold.expires_at, now() + p_ttl * interval '1 millisecond'), hold.budgets, hold.counts);
  balance_after := wallet.balance - p_cost;
  IF p_cost > 0 THEN
    target := ledger_system_account(p_to, wallet.asset);
    INSERT INTO ledger_transfers (id, debit_account, credit_account, asset, amount, type, description, reference,
        debit_balance_after, credit_balance_after)
      VALUES ('usage:' || p_id, wallet.id, target.id, wallet.asset, p_cost, p_type, p_description, p_reference,
        balance_after, target.balance + p_cost);
  END IF;
  INSERT INTO ledger_settlements (id, hold_id, wallet_id, cost, charged, balance_after, hold_missing, owed, budgets)
    VALUES (p_id, p_hold, p_wallet, p_cost, p_cost, balance_after, false, 0, hold.budgets);
  charged := p_cost;
  kind := 'charged';
END $$;
