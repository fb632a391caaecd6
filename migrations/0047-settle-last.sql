-- What all charges share (revenue, 'unpaid') is locked last, by the last statement before the commit: a transaction that stops in between
-- holds up those who use the same wallets, and nobody else.

-- Decides what ledger_settle does with a batch, and locks what is the payers' own alone: wallets by id, holds by id ('expired' where credit
-- does expire). So a transaction can write what follows from its charges before it makes them. p_owes: what is not charged of this item is owed;
-- null: of what never had a hold. p_patience: how long to wait for each lock, in milliseconds (SQLSTATE 55P03); 0: as long as it takes.
-- Arrays are in the order of the items; a charge is null for an item that was settled before.
CREATE FUNCTION ledger_foresee(
  p_ids text[], p_holds uuid[], p_wallets bigint[], p_costs bigint[], p_owes boolean[], p_percent integer, p_micro bigint, p_patience integer,
  OUT charges bigint[], OUT balances bigint[], OUT missing boolean[], OUT owed bigint[], OUT closing uuid[], OUT limited boolean, OUT owing bigint[]
) LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  patience text := current_setting('lock_timeout');
  item record;
  due bigint;
  wallet bigint;
  balance bigint;
  held bigint;
  charge bigint;
BEGIN
  IF p_patience > 0 THEN PERFORM set_config('lock_timeout', p_patience::text, true); END IF;
  PERFORM FROM ledger_accounts a WHERE a.id = ANY (p_wallets) AND a.kind = 'wallet' ORDER BY a.id FOR NO KEY UPDATE;
  PERFORM FROM ledger_holds h WHERE h.id = ANY (p_holds) ORDER BY h.id FOR UPDATE;
  IF p_patience > 0 THEN PERFORM set_config('lock_timeout', patience, true); END IF;
  FOR due IN SELECT a.id FROM ledger_accounts a
    WHERE a.id = ANY (p_wallets) AND a.next_expiry <= now() AND a.balance > a.held ORDER BY a.id
  LOOP
    PERFORM ledger_expire_wallet(due, now());
  END LOOP;

  charges := array_fill(NULL::bigint, ARRAY[cardinality(p_ids)]);
  balances := charges;
  owed := charges;
  missing := array_fill(NULL::boolean, ARRAY[cardinality(p_ids)]);
  closing := '{}';
  owing := '{}';
  limited := false;
  FOR item IN
    -- A hold pays for the first item that names it and is not a repeat.
    SELECT q.*, CASE WHEN row_number() OVER (PARTITION BY q.hold_id, q.again, q.open_amount IS NULL ORDER BY q.n) = 1 THEN q.open_amount END AS reserved
    FROM (
      SELECT q.n, q.hold_id, q.wallet_id, q.cost, coalesce(q.owes, q.hold_id IS NULL) AS owes, a.balance AS wallet_balance, a.held AS wallet_held,
        a.shortfall AS wallet_shortfall, s.id IS NOT NULL OR q.nth > 1 AS again,
        CASE WHEN h.state = 'held' AND h.wallet_id = q.wallet_id THEN h.amount END AS open_amount, h.budgets IS NOT NULL AS limited
      FROM (
        SELECT q.*, row_number() OVER (PARTITION BY q.id ORDER BY q.n) AS nth
        FROM unnest(p_ids, p_holds, p_wallets, p_costs, p_owes) WITH ORDINALITY AS q (id, hold_id, wallet_id, cost, owes, n)
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
      IF item.wallet_shortfall > 0 THEN owing := owing || wallet; END IF;
    END IF;
    CONTINUE WHEN item.again;
    limited := limited OR item.limited;
    IF item.reserved IS NULL THEN
      charge := least(item.cost, balance - held);
    ELSE
      charge := least(item.cost, item.reserved + CASE WHEN item.owes THEN balance - held ELSE
        least(greatest(item.reserved / 100 * p_percent + item.reserved % 100 * p_percent / 100, p_micro), balance - held) END);
      closing := closing || item.hold_id;
      held := held - item.reserved;
    END IF;
    balance := balance - charge;
    charges[item.n] := charge;
    balances[item.n] := balance;
    missing[item.n] := item.reserved IS NULL AND item.hold_id IS NOT NULL;
    owed[item.n] := CASE WHEN item.owes THEN item.cost - charge ELSE 0 END;
    IF owed[item.n] > 0 THEN owing := owing || wallet; END IF;
  END LOOP;
END $$;

-- As before, in two parts: what it decides is ledger_foresee. Without p_owes what never had a hold owes what it is not charged. It waits for
-- no lock longer than a process that stopped in a transaction may keep one (src/platform/postgres.ts): else one that stopped while it waited would
-- come by the lock after all, and keep it as long again.
DROP FUNCTION ledger_settle;
CREATE FUNCTION ledger_settle(
  p_ids text[], p_holds uuid[], p_wallets bigint[], p_costs bigint[], p_targets text[], p_types text[], p_descriptions text[],
  p_references text[], p_percent integer, p_micro bigint, p_owes boolean[] DEFAULT NULL
) RETURNS TABLE (id text, charged bigint, uncharged bigint, balance_after bigint, replayed boolean, hold_missing boolean, owed bigint)
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off SET lock_timeout = '5s' AS $$
#variable_conflict use_column
DECLARE
  item record;
  wallet bigint;
  seen record;
BEGIN
  SELECT * INTO seen FROM ledger_foresee(p_ids, p_holds, p_wallets, p_costs, p_owes, p_percent, p_micro, 0);

  -- All counters now, those of holds that are closed already too: after this come system accounts, and everybody locks in one order.
  IF seen.limited THEN
    PERFORM FROM ledger_budgets b WHERE b.no IN (SELECT unnest(h.budgets) FROM ledger_holds h WHERE h.id = ANY (p_holds)) ORDER BY b.no FOR NO KEY UPDATE;
  END IF;

  -- Holds close before balances fall, so that held is covered after every statement.
  UPDATE ledger_holds h SET state = 'settled', closed_at = now() WHERE h.id = ANY (seen.closing) AND h.state = 'held';

  -- One target and one asset are the rule; several are locked by code.
  FOR item IN
    SELECT DISTINCT q.code, w.asset FROM unnest(p_targets, p_wallets, seen.charges) AS q (code, wallet_id, charge)
    JOIN ledger_accounts w ON w.id = q.wallet_id WHERE q.charge > 0 ORDER BY q.code, w.asset
  LOOP
    PERFORM ledger_system_account(item.code, item.asset);
  END LOOP;
  INSERT INTO ledger_transfers (id, debit_account, credit_account, asset, amount, type, description, reference,
      debit_balance_after, credit_balance_after)
    SELECT 'usage:' || q.id, w.id, t.id, w.asset, q.charge, q.type, q.description, q.reference,
      q.balance, t.balance + sum(q.charge) OVER (PARTITION BY t.id ORDER BY q.wallet_id, q.n)
    FROM unnest(p_ids, p_wallets, p_targets, p_types, p_descriptions, p_references, seen.charges, seen.balances) WITH ORDINALITY
      AS q (id, wallet_id, target, type, description, reference, charge, balance, n)
    JOIN ledger_accounts w ON w.id = q.wallet_id
    JOIN ledger_accounts t ON t.code = q.target AND t.asset = w.asset AND t.kind = 'system'
    WHERE q.charge > 0
    ORDER BY q.wallet_id, q.n;

  IF (SELECT max(owe) FROM unnest(seen.owed) AS owe) > 0 THEN
    PERFORM ledger_owe(p_ids, p_wallets, p_targets, p_types, p_descriptions, p_references, seen.owed);
  END IF;

  -- The settlement last: it is refused unless the transfer, the closed hold and the incident are there.
  INSERT INTO ledger_incidents (kind, reference, details)
    SELECT CASE WHEN q.missing THEN 'hold_missing' ELSE 'uncharged' END, q.id, jsonb_build_object(
      'wallet', q.wallet_id::text, 'hold', q.hold_id, 'cost', q.cost::text, 'charged', q.charge::text, 'uncharged', (q.cost - q.charge)::text)
    FROM unnest(p_ids, p_holds, p_wallets, p_costs, seen.charges, seen.missing, seen.owed) WITH ORDINALITY
      AS q (id, hold_id, wallet_id, cost, charge, missing, owe, n)
    WHERE q.missing OR q.charge + q.owe < q.cost
    ORDER BY q.n;
  INSERT INTO ledger_settlements (id, hold_id, wallet_id, cost, charged, balance_after, hold_missing, owed, budgets)
    SELECT q.id, q.hold_id, q.wallet_id, q.cost, q.charge, q.balance, q.missing, q.owe,
      CASE WHEN seen.limited THEN (SELECT h.budgets FROM ledger_holds h WHERE h.id = q.hold_id AND h.wallet_id = q.wallet_id) END
    FROM unnest(p_ids, p_holds, p_wallets, p_costs, seen.charges, seen.balances, seen.missing, seen.owed)
      AS q (id, hold_id, wallet_id, cost, charge, balance, missing, owe)
    WHERE q.charge IS NOT NULL;

  -- What closed holds have left free pays what is owed.
  FOREACH wallet IN ARRAY seen.owing LOOP
    PERFORM ledger_collect(wallet);
  END LOOP;

  RETURN QUERY
    SELECT q.id, s.charged, s.cost - s.charged - s.owed, s.balance_after, q.charge IS NULL, s.hold_missing, s.owed
    FROM unnest(p_ids, seen.charges) WITH ORDINALITY AS q (id, charge, n)
    JOIN ledger_settlements s ON s.id = q.id
    ORDER BY q.n;
END $$;

-- usage_settled for the statement that settles: what was charged or is owed of each event comes from it, in the order of the ids. Events that are
-- not in the table yet have no time; they are in `fresh`, whole.
CREATE FUNCTION usage_settle(costs bigint[], rests bigint[], ids uuid[], times timestamptz[], fresh jsonb) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  known record;
BEGIN
  SELECT array_agg(q.id) AS ids, array_agg(q.at) AS times, array_agg(q.cost) AS costs, array_agg(q.rest) AS rests INTO known
    FROM unnest(ids, times, costs, rests) AS q (id, at, cost, rest) WHERE q.at IS NOT NULL;
  RETURN usage_settled(known.ids, known.times, known.costs, known.rests, (
    SELECT jsonb_agg(e || jsonb_build_object('cost', q.cost, 'uncharged', q.rest))
    FROM jsonb_array_elements(fresh) AS e JOIN unnest(ids, costs, rests) AS q (id, cost, rest) ON q.id = (e ->> 'id')::uuid));
END $$;
