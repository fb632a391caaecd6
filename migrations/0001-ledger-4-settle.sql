-- Settles a batch inside the caller's transaction, exactly once per item id. An item is charged
--   min(cost, held + tolerance, held + available), tolerance = max(p_percent % of held, p_micro)
-- and its hold is closed. Without its hold (swept, released, never made) it is charged min(cost, available). What could not be
-- charged, and a missing hold, are incidents. Items of one wallet are settled in the order given.
CREATE FUNCTION ledger_settle(
  p_ids text[], p_holds uuid[], p_wallets bigint[], p_costs bigint[], p_targets text[], p_types text[], p_descriptions text[],
  p_references text[], p_percent integer, p_micro bigint
) RETURNS TABLE (id text, charged bigint, uncharged bigint, balance_after bigint, replayed boolean, hold_missing boolean)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  item record;
  due bigint;
  wallet bigint;
  balance bigint;
  held bigint;
  reserved bigint;
  charge bigint;
  charges bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(p_ids)]);
  balances bigint[] := charges;
  missing boolean[] := array_fill(NULL::boolean, ARRAY[cardinality(p_ids)]);
  closing uuid[] := '{}';
BEGIN
  PERFORM FROM ledger_accounts a WHERE a.id = ANY (p_wallets) AND a.kind = 'wallet' ORDER BY a.id FOR NO KEY UPDATE;
  PERFORM FROM ledger_holds h WHERE h.id = ANY (p_holds) ORDER BY h.id FOR UPDATE;
  FOR due IN SELECT a.id FROM ledger_accounts a
    WHERE a.id = ANY (p_wallets) AND a.next_expiry <= now() AND a.balance > a.held ORDER BY a.id
  LOOP
    PERFORM ledger_expire_wallet(due, now());
  END LOOP;

  FOR item IN
    -- A hold pays for the first item that names it and is not a repeat.
    SELECT q.*, CASE WHEN row_number() OVER (PARTITION BY q.hold_id, q.again, q.open_amount IS NULL ORDER BY q.n) = 1 THEN q.open_amount END AS reserved
    FROM (
      SELECT q.*, a.balance AS wallet_balance, a.held AS wallet_held, s.id IS NOT NULL OR q.nth > 1 AS again,
        CASE WHEN h.state = 'held' AND h.wallet_id = q.wallet_id THEN h.amount END AS open_amount
      FROM (
        SELECT q.*, row_number() OVER (PARTITION BY q.id ORDER BY q.n) AS nth
        FROM unnest(p_ids, p_holds, p_wallets, p_costs) WITH ORDINALITY AS q (id, hold_id, wallet_id, cost, n)
      ) q
      LEFT JOIN ledger_accounts a ON a.id = q.wallet_id AND a.kind = 'wallet'
      LEFT JOIN ledger_holds h ON h.id = q.hold_id
      LEFT JOIN ledger_settlements s ON s.id = q.id
    ) q
    ORDER BY q.wallet_id, q.n
  LOOP
    IF item.wallet_balance IS NULL THEN RAISE EXCEPTION 'there is no wallet %', item.wallet_id USING ERRCODE = 'no_data_found'; END IF;
    IF wallet IS DISTINCT FROM item.wallet_id THEN
      wallet := item.wallet_id;
      balance := item.wallet_balance;
      held := item.wallet_held;
    END IF;
    CONTINUE WHEN item.again;
    reserved := item.reserved;
    IF reserved IS NULL THEN
      charge := least(item.cost, balance - held);
    ELSE
      charge := least(item.cost, reserved + least(greatest(reserved / 100 * p_percent + reserved % 100 * p_percent / 100, p_micro), balance - held));
      closing := closing || item.hold_id;
      held := held - reserved;
    END IF;
    balance := balance - charge;
    charges[item.n] := charge;
    balances[item.n] := balance;
    missing[item.n] := reserved IS NULL;
  END LOOP;

  -- Holds close before balances fall, so that held is covered after every statement.
  UPDATE ledger_holds h SET state = 'settled', closed_at = now() WHERE h.id = ANY (closing) AND h.state = 'held';

  -- One target and one asset are the rule; several are locked by code.
  FOR item IN
    SELECT DISTINCT q.code, w.asset FROM unnest(p_targets, p_wallets, charges) AS q (code, wallet_id, charge)
    JOIN ledger_accounts w ON w.id = q.wallet_id WHERE q.charge > 0 ORDER BY q.code, w.asset
  LOOP
    PERFORM ledger_system_account(item.code, item.asset);
  END LOOP;
  INSERT INTO ledger_transfers (id, debit_account, credit_account, asset, amount, type, description, reference,
      debit_balance_after, credit_balance_after)
    SELECT 'usage:' || q.id, w.id, t.id, w.asset, q.charge, q.type, q.description, q.reference,
      q.balance, t.balance + sum(q.charge) OVER (PARTITION BY t.id ORDER BY q.wallet_id, q.n)
    FROM unnest(p_ids, p_wallets, p_targets, p_types, p_descriptions, p_references, charges, balances) WITH ORDINALITY
      AS q (id, wallet_id, target, type, description, reference, charge, balance, n)
    JOIN ledger_accounts w ON w.id = q.wallet_id
    JOIN ledger_accounts t ON t.code = q.target AND t.asset = w.asset AND t.kind = 'system'
    WHERE q.charge > 0
    ORDER BY q.wallet_id, q.n;

  -- The settlement last: it is refused unless the transfer, the closed hold and the incident are there.
  INSERT INTO ledger_incidents (kind, reference, details)
    SELECT CASE WHEN q.missing THEN 'hold_missing' ELSE 'uncharged' END, q.id, jsonb_build_object(
      'wallet', q.wallet_id::text, 'hold', q.hold_id, 'cost', q.cost::text, 'charged', q.charge::text, 'uncharged', (q.cost - q.charge)::text)
    FROM unnest(p_ids, p_holds, p_wallets, p_costs, charges, missing) WITH ORDINALITY
      AS q (id, hold_id, wallet_id, cost, charge, missing, n)
    WHERE q.missing OR q.charge < q.cost
    ORDER BY q.n;
  INSERT INTO ledger_settlements (id, hold_id, wallet_id, cost, charged, balance_after, hold_missing)
    SELECT q.id, q.hold_id, q.wallet_id, q.cost, q.charge, q.balance, q.missing
    FROM unnest(p_ids, p_holds, p_wallets, p_costs, charges, balances, missing)
      AS q (id, hold_id, wallet_id, cost, charge, balance, missing)
    WHERE q.charge IS NOT NULL;

  RETURN QUERY
    SELECT q.id, s.charged, s.cost - s.charged, s.balance_after, q.charge IS NULL, s.hold_missing
    FROM unnest(p_ids, charges) WITH ORDINALITY AS q (id, charge, n)
    JOIN ledger_settlements s ON s.id = q.id
    ORDER BY q.n;
END $$;

-- A settlement is what ledger_settle did in this transaction: its charge is a transfer, its hold was closed just now and paid what
-- it could, and what is missing is an incident. A row that only says so would make a call free.
CREATE FUNCTION ledger_check_settlements() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp
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
      WHEN NOT s.hold_missing AND (h.state, h.closed_at) IS DISTINCT FROM ('settled', now()) THEN 'its hold was not settled now'
      WHEN NOT s.hold_missing AND s.charged < least(s.cost, h.amount) THEN 'its hold covers more'
      WHEN s.hold_missing AND h.state = 'held' THEN 'its hold is there'
      WHEN (s.hold_missing OR s.charged < s.cost) AND NOT EXISTS (
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
CREATE TRIGGER ledger_settlements_made AFTER INSERT ON ledger_settlements REFERENCING NEW TABLE AS settled
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_settlements();

-- The other way round, when the transaction ends: an incident about a settlement agrees with it. Incidents are rare.
CREATE FUNCTION ledger_check_incident() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF EXISTS (
    SELECT FROM ledger_settlements s WHERE s.id = NEW.reference AND s.hold_missing = (NEW.kind = 'hold_missing') AND s.created_at = NEW.at
      AND (s.hold_missing OR s.charged < s.cost)
      AND NEW.details = jsonb_build_object('wallet', s.wallet_id::text, 'hold', s.hold_id, 'cost', s.cost::text,
        'charged', s.charged::text, 'uncharged', (s.cost - s.charged)::text)
  ) THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'INSERT of ledger_incidents is refused: no settlement agrees with it' USING ERRCODE = 'restrict_violation';
END $$;
CREATE CONSTRAINT TRIGGER ledger_incidents_agree AFTER INSERT ON ledger_incidents DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.kind IN ('hold_missing', 'uncharged')) EXECUTE FUNCTION ledger_check_incident();
