-- Charging work piece by piece out of one reservation: a hold pays for one item, so each piece closes the hold and what is left of it is
-- held anew in the same statement. Nobody sees the time between, and no other call can take it.

-- Charges one piece, once per id. The cost is charged in full, out of the hold and, beyond it, of what the wallet has available; what the
-- hold then leaves is held anew as p_next with the same owner. When both do not cover it, nothing changes. Kinds: `charged`; `repeated` (the
-- piece was charged before: charged and balance_after are those of then, rest is null); `refused` (not covered; `available` says what the
-- wallet has beside the hold); `missing` (the hold is not open).
-- Lock order as everywhere: the wallet, the hold, 'expired', budgets by no (the triggers of holds), other system accounts.
CREATE FUNCTION ledger_settle_part(
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
  IF p_cost > hold.amount + available THEN
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

-- Replaces an open hold by one of another amount, when the wallet covers it. Kinds: `held`; `refused` (nothing changed); `missing` (the old
-- one is not open). `available` is what the wallet has beside the hold, before. A wallet that owes covers no more than it holds.
CREATE FUNCTION ledger_replace_hold(
  p_hold uuid, p_next uuid, p_wallet bigint, p_amount bigint, p_ttl bigint, OUT kind text, OUT available bigint
) LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  wallet ledger_accounts;
  hold ledger_holds;
BEGIN
  SELECT * INTO wallet FROM ledger_accounts WHERE id = p_wallet AND ledger_accounts.kind = 'wallet' FOR NO KEY UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'there is no wallet %', p_wallet USING ERRCODE = 'no_data_found'; END IF;
  SELECT * INTO hold FROM ledger_holds WHERE id = p_hold AND wallet_id = p_wallet AND state = 'held' FOR UPDATE;
  IF NOT FOUND THEN
    kind := 'missing';
    RETURN;
  END IF;
  IF ledger_expire_wallet(p_wallet, now()) > 0 THEN SELECT * INTO wallet FROM ledger_accounts WHERE id = p_wallet; END IF;
  available := wallet.balance - wallet.held;
  IF p_amount > hold.amount + available THEN
    kind := 'refused';
    RETURN;
  END IF;
  UPDATE ledger_holds SET state = 'released', closed_at = now() WHERE id = p_hold;
  INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at, budgets, counts)
    VALUES (p_next, p_wallet, p_amount, hold.owner, greatest(hold.expires_at, now() + p_ttl * interval '1 millisecond'), hold.budgets, hold.counts);
  -- What a smaller hold leaves free pays what is owed.
  IF wallet.shortfall > 0 THEN PERFORM ledger_collect(p_wallet); END IF;
  kind := 'held';
END $$;
