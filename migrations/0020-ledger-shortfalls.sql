-- Shortfalls: what a wallet could not pay of something that had been used already (a message that a webhook reports had no hold). The
-- wallet gives what it has and the rest is owed: a transfer from the account 'unpaid', which is below zero by what all wallets owe, and
-- a row that says who owes it for what. Credit that comes in, and what closing holds leave free, pays the oldest first, in the same
-- transaction. While a wallet owes, nothing is held on it. Lock order: 'unpaid' after all other accounts.
ALTER TABLE ledger_accounts ADD COLUMN shortfall bigint NOT NULL DEFAULT 0,
  ADD CONSTRAINT ledger_shortfall_of_wallet CHECK (CASE kind WHEN 'wallet' THEN shortfall >= 0 ELSE shortfall = 0 END);
INSERT INTO ledger_accounts (code, kind) VALUES ('unpaid', 'system') ON CONFLICT DO NOTHING;

CREATE TABLE ledger_shortfalls (
  id text PRIMARY KEY,              -- the settled item
  seq bigint NOT NULL UNIQUE,       -- of its transfer
  wallet_id bigint NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  collected bigint NOT NULL DEFAULT 0 CHECK (collected BETWEEN 0 AND amount),
  created_at timestamptz NOT NULL DEFAULT now(),
  collected_at timestamptz,         -- when the last of it was
  CHECK ((collected = amount) = (collected_at IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX ledger_shortfalls_wallet ON ledger_shortfalls (wallet_id, seq);
CREATE INDEX ledger_shortfalls_open ON ledger_shortfalls (wallet_id, seq) WHERE collected < amount;

-- An item that never had a hold has none to miss: what the wallet does not cover of it is owed.
ALTER TABLE ledger_settlements ALTER COLUMN hold_id DROP NOT NULL,
  ADD COLUMN owed bigint NOT NULL DEFAULT 0 CHECK (owed >= 0 AND charged + owed <= cost AND (hold_id IS NULL OR owed = 0));

-- These two alone change what a wallet owes. ledger_check_shortfall recognises each by its statement, word for word; see ledger_check_held.
CREATE FUNCTION ledger_count_owed() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wallets bigint;
BEGIN
  IF TG_RELID <> 'public.ledger_shortfalls'::regclass THEN
    RAISE EXCEPTION 'only ledger_shortfalls counts as owed' USING ERRCODE = 'restrict_violation';
  END IF;
  UPDATE public.ledger_accounts a SET shortfall = a.shortfall + d.amount FROM (SELECT wallet_id, sum(amount)::bigint AS amount FROM owed GROUP BY wallet_id) d WHERE a.id = d.wallet_id AND a.kind = 'wallet';
  GET DIAGNOSTICS wallets = ROW_COUNT;
  IF wallets <> (SELECT count(DISTINCT wallet_id) FROM owed) THEN
    RAISE EXCEPTION 'a shortfall names no wallet' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION ledger_count_collected() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_RELID <> 'public.ledger_shortfalls'::regclass THEN
    RAISE EXCEPTION 'only ledger_shortfalls counts as owed' USING ERRCODE = 'restrict_violation';
  END IF;
  UPDATE public.ledger_accounts a SET shortfall = a.shortfall - d.amount FROM (SELECT n.wallet_id, sum(n.collected - o.collected)::bigint AS amount FROM after_rows n JOIN before_rows o ON o.id = n.id GROUP BY n.wallet_id) d WHERE a.id = d.wallet_id;
  RETURN NULL;
END $$;

CREATE FUNCTION ledger_check_shortfall() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stack text;
BEGIN
  GET DIAGNOSTICS stack = PG_CONTEXT;
  stack := substr(stack, strpos(stack, E'\n') + 1);
  IF starts_with(stack, 'SQL statement "UPDATE public.ledger_accounts a SET shortfall = a.shortfall + d.amount FROM (SELECT wallet_id, sum(amount)::bigint AS amount FROM owed GROUP BY wallet_id) d WHERE a.id = d.wallet_id AND a.kind = ''wallet''"' || E'\nPL/pgSQL function public.ledger_count_owed() line ')
    OR starts_with(stack, 'SQL statement "UPDATE public.ledger_accounts a SET shortfall = a.shortfall - d.amount FROM (SELECT n.wallet_id, sum(n.collected - o.collected)::bigint AS amount FROM after_rows n JOIN before_rows o ON o.id = n.id GROUP BY n.wallet_id) d WHERE a.id = d.wallet_id"' || E'\nPL/pgSQL function public.ledger_count_collected() line ')
  THEN
    RETURN NULL;
  END IF;
  IF NEW.shortfall = (SELECT coalesce(sum(amount - collected), 0) FROM public.ledger_shortfalls WHERE wallet_id = NEW.id AND collected < amount) THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'UPDATE of ledger_accounts is refused: what a wallet owes is the sum of its open shortfalls' USING ERRCODE = 'restrict_violation';
END $$;

-- A shortfall is what its transfer of now says, and what was collected of it likewise.
CREATE FUNCTION ledger_check_owed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.created_at = now() AND EXISTS (
    SELECT FROM ledger_transfers t JOIN ledger_accounts a ON a.id = t.debit_account AND a.code = 'unpaid'
    WHERE t.id = 'shortfall:' || NEW.id AND t.seq = NEW.seq AND t.amount = NEW.amount AND t.created_at = now()
  ) THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'INSERT of ledger_shortfalls is refused: shortfalls follow from ledger_transfers' USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION ledger_check_collected() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF EXISTS (
    SELECT FROM ledger_transfers t JOIN ledger_accounts a ON a.id = t.credit_account AND a.code = 'unpaid'
    WHERE t.id = 'collect:' || NEW.id || ':' || OLD.collected AND t.debit_account = NEW.wallet_id
      AND t.amount = NEW.collected - OLD.collected AND t.created_at = now()
  ) THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'UPDATE of ledger_shortfalls is refused: what is collected follows from ledger_transfers' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER ledger_accounts_owes_nothing BEFORE INSERT ON ledger_accounts FOR EACH ROW
  WHEN (NEW.shortfall <> 0) EXECUTE FUNCTION ledger_refuse('an account begins empty');
CREATE TRIGGER ledger_accounts_shortfall AFTER UPDATE ON ledger_accounts FOR EACH ROW
  WHEN (OLD.shortfall IS DISTINCT FROM NEW.shortfall) EXECUTE FUNCTION ledger_check_shortfall();
CREATE TRIGGER ledger_shortfalls_begin BEFORE INSERT ON ledger_shortfalls FOR EACH ROW
  WHEN (NEW.collected <> 0) EXECUTE FUNCTION ledger_refuse('a shortfall begins whole');
CREATE TRIGGER ledger_shortfalls_fixed BEFORE UPDATE ON ledger_shortfalls FOR EACH ROW
  WHEN (NEW.collected <= OLD.collected OR (OLD.id, OLD.seq, OLD.wallet_id, OLD.amount, OLD.created_at)
    IS DISTINCT FROM (NEW.id, NEW.seq, NEW.wallet_id, NEW.amount, NEW.created_at))
  EXECUTE FUNCTION ledger_refuse('a shortfall is only ever collected');
CREATE TRIGGER ledger_shortfalls_keep BEFORE DELETE OR TRUNCATE ON ledger_shortfalls FOR EACH STATEMENT
  EXECUTE FUNCTION ledger_refuse('shortfalls are never deleted');
CREATE TRIGGER ledger_shortfalls_made AFTER INSERT ON ledger_shortfalls FOR EACH ROW EXECUTE FUNCTION ledger_check_owed();
CREATE TRIGGER ledger_shortfalls_paid AFTER UPDATE ON ledger_shortfalls FOR EACH ROW EXECUTE FUNCTION ledger_check_collected();
CREATE TRIGGER ledger_shortfalls_counted AFTER INSERT ON ledger_shortfalls REFERENCING NEW TABLE AS owed
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_count_owed();
CREATE TRIGGER ledger_shortfalls_recounted AFTER UPDATE ON ledger_shortfalls REFERENCING OLD TABLE AS before_rows NEW TABLE AS after_rows
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_count_collected();

-- Pays what a wallet owes with what it has free, the oldest first. The caller has locked the wallet. Returns how much was paid.
CREATE FUNCTION ledger_collect(p_wallet bigint) RETURNS bigint LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  wallet ledger_accounts;
  target ledger_accounts;
  ids text[];
  befores bigint[];
  parts bigint[];
  taken bigint;
BEGIN
  SELECT * INTO STRICT wallet FROM ledger_accounts WHERE id = p_wallet AND kind = 'wallet';
  IF wallet.shortfall = 0 OR wallet.balance <= wallet.held THEN RETURN 0; END IF;
  target := ledger_system_account('unpaid', wallet.asset);
  SELECT array_agg(id ORDER BY seq), array_agg(collected ORDER BY seq),
      array_agg(least(amount - collected, wallet.balance - wallet.held - low) ORDER BY seq)
    INTO ids, befores, parts
    FROM (
      SELECT id, seq, amount, collected, (sum(amount - collected) OVER (ORDER BY seq))::bigint - (amount - collected) AS low
      FROM ledger_shortfalls WHERE wallet_id = p_wallet AND collected < amount
    ) due
    WHERE low < wallet.balance - wallet.held;
  INSERT INTO ledger_transfers (id, debit_account, credit_account, asset, amount, type, description, reference,
      debit_balance_after, credit_balance_after)
    SELECT 'collect:' || q.id || ':' || q.before, wallet.id, target.id, wallet.asset, q.part, 'CONSUMPTION', 'Paid what was owed', q.id,
      wallet.balance - sum(q.part) OVER (ORDER BY q.n), target.balance + sum(q.part) OVER (ORDER BY q.n)
    FROM unnest(ids, befores, parts) WITH ORDINALITY AS q (id, before, part, n)
    ORDER BY q.n;
  UPDATE ledger_shortfalls s
    SET collected = s.collected + q.part, collected_at = CASE WHEN s.collected + q.part = s.amount THEN now() END
    FROM unnest(ids, parts) AS q (id, part) WHERE s.id = q.id;
  SELECT sum(part) INTO taken FROM unnest(parts) AS part;
  RETURN taken;
END $$;

-- As before; credit to a wallet that owes pays first what is owed.
CREATE OR REPLACE FUNCTION ledger_apply_transfers() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wrong record;
  newest bigint := pg_sequence_last_value('ledger_transfers_seq_seq');
  debited bigint;
  burned bigint;
  owing bigint;
BEGIN
  -- Nobody hangs this on a table of his own.
  IF TG_RELID <> 'public.ledger_transfers'::regclass THEN
    RAISE EXCEPTION 'only ledger_transfers moves balances' USING ERRCODE = 'restrict_violation';
  END IF;
  PERFORM FROM ledger_accounts
    WHERE id IN (SELECT debit_account FROM posted UNION SELECT credit_account FROM posted)
    ORDER BY kind DESC, CASE kind WHEN 'wallet' THEN id END, code FOR NO KEY UPDATE;

  SELECT leg.transfer, reason INTO wrong
    FROM (
      SELECT both_sides.*, sum(delta) OVER (PARTITION BY account ORDER BY seq) AS moved,
        count(*) FILTER (WHERE delta > 0) OVER (PARTITION BY account) AS ups,
        count(*) FILTER (WHERE delta < 0) OVER (PARTITION BY account) AS downs
      FROM (
        SELECT id AS transfer, seq, debit_account AS account, -amount AS delta, debit_balance_after AS after, asset, source, grant_id, created_at FROM posted
        UNION ALL
        SELECT id, seq, credit_account, amount, credit_balance_after, asset, source, grant_id, created_at FROM posted
      ) both_sides
    ) leg
    LEFT JOIN ledger_accounts a ON a.id = leg.account
    CROSS JOIN LATERAL (SELECT CASE
      WHEN a.id IS NULL THEN 'there is no account ' || leg.account
      WHEN a.asset <> leg.asset THEN 'account ' || a.code || ' holds another asset'
      WHEN leg.seq <= a.last_seq OR leg.seq > newest THEN 'seq is out of order'
      WHEN leg.created_at <> now() THEN 'created_at is not now'
      WHEN a.kind = 'wallet' AND leg.delta > 0 AND leg.source IS NULL THEN 'credit to a wallet needs a source'
      WHEN a.kind = 'system' AND leg.delta > 0 AND leg.source IS NOT NULL THEN 'only credit to a wallet has a source'
      WHEN a.kind = 'system' AND leg.delta < 0 AND leg.grant_id IS NOT NULL THEN 'only a debit of a wallet burns a grant'
      WHEN a.kind = 'wallet' AND leg.ups > 0 AND leg.downs > 0 THEN 'one statement credits and debits ' || a.code
      WHEN a.balance + leg.moved <> leg.after THEN 'balance after is ' || leg.after || ', expected ' || a.balance + leg.moved || ' on ' || a.code
    END AS reason) verdict
    WHERE reason IS NOT NULL
    LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'transfer % is refused: %', wrong.transfer, wrong.reason USING ERRCODE = 'check_violation';
  END IF;

  INSERT INTO ledger_grants (wallet_id, source, priority, amount, remaining, expires_at, created_at, transfer_id)
    SELECT credit_account, source, priority, amount, amount, expires_at, created_at, id FROM posted WHERE source IS NOT NULL ORDER BY seq;

  -- Debits that name their grant.
  WITH burn AS (
    INSERT INTO ledger_burns (transfer_id, grant_id, amount)
      SELECT p.id, p.grant_id, p.amount FROM posted p JOIN ledger_grants g ON g.id = p.grant_id AND g.wallet_id = p.debit_account
      RETURNING grant_id, amount
  )
  UPDATE ledger_grants g SET remaining = g.remaining - b.amount
    FROM (SELECT grant_id, sum(amount)::bigint AS amount FROM burn GROUP BY grant_id) b WHERE g.id = b.grant_id;

  -- All other debits of wallets: grants and debits are laid end to end as intervals; where they overlap, the debit burns the
  -- grant. Gathered per wallet first, so that no plan compares the debits of one wallet with the grants of another.
  WITH debit AS (
    SELECT wallet_id, array_agg(id) AS ids, array_agg(low) AS lows, array_agg(high) AS highs
    FROM (
      SELECT p.id, p.debit_account AS wallet_id, sum(p.amount) OVER w - p.amount AS low, sum(p.amount) OVER w AS high
      FROM posted p JOIN ledger_accounts a ON a.id = p.debit_account AND a.kind = 'wallet'
      WHERE p.grant_id IS NULL
      WINDOW w AS (PARTITION BY p.debit_account ORDER BY p.seq)
    ) laid GROUP BY wallet_id
  ), burn AS (
    INSERT INTO ledger_burns (transfer_id, grant_id, amount)
      SELECT d.id, c.id, least(d.high, c.high) - greatest(d.low, c.low)
      FROM debit
      CROSS JOIN LATERAL (
        SELECT g.id, sum(g.remaining) OVER w - g.remaining AS low, sum(g.remaining) OVER w AS high
        FROM ledger_grants g WHERE g.wallet_id = debit.wallet_id AND g.remaining > 0
        WINDOW w AS (ORDER BY g.priority, g.expires_at NULLS LAST, g.id)
      ) c
      JOIN LATERAL unnest(ids, lows, highs) AS d (id, low, high) ON c.low < d.high AND d.low < c.high
      RETURNING grant_id, amount
  )
  UPDATE ledger_grants g SET remaining = g.remaining - b.amount
    FROM (SELECT grant_id, sum(amount)::bigint AS amount FROM burn GROUP BY grant_id) b WHERE g.id = b.grant_id;

  SELECT coalesce(sum(p.amount), 0) INTO debited
    FROM posted p JOIN ledger_accounts a ON a.id = p.debit_account AND a.kind = 'wallet';
  IF debited > 0 THEN
    SELECT coalesce(sum(b.amount), 0) INTO burned FROM ledger_burns b JOIN posted p ON p.id = b.transfer_id;
    IF burned <> debited THEN
      RAISE EXCEPTION 'transfers debit % but burn % of grants', debited, burned USING ERRCODE = 'check_violation';
    END IF;
  END IF;

  UPDATE ledger_accounts a
    SET balance = a.balance + d.delta, last_seq = d.seq,
      next_expiry = CASE WHEN a.kind = 'wallet' THEN
        (SELECT min(g.expires_at) FROM ledger_grants g WHERE g.wallet_id = a.id AND g.remaining > 0) END
    FROM (
      SELECT account, sum(delta)::bigint AS delta, max(seq) AS seq
      FROM (SELECT debit_account AS account, -amount AS delta, seq FROM posted
            UNION ALL SELECT credit_account, amount, seq FROM posted) legs
      GROUP BY account
    ) d
    WHERE a.id = d.account;

  -- Whoever owes pays with what has just come in, whoever credited it.
  IF EXISTS (SELECT FROM posted WHERE source IS NOT NULL) THEN
    FOR owing IN SELECT id FROM ledger_accounts WHERE id IN (SELECT credit_account FROM posted) AND shortfall > 0 ORDER BY id LOOP
      PERFORM ledger_collect(owing);
    END LOOP;
  END IF;
  RETURN NULL;
END $$;

-- As before; the balance that is told is the one after what was owed has been paid.
CREATE OR REPLACE FUNCTION ledger_credit(
  p_id text, p_wallet bigint, p_amount bigint, p_from text, p_source text, p_type text, p_priority smallint, p_expires_at timestamptz,
  p_description text, p_reference text, OUT transfer ledger_transfers, OUT counterpart text, OUT replayed boolean
) LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wallet ledger_accounts;
  origin ledger_accounts;
BEGIN
  SELECT * INTO wallet FROM ledger_accounts WHERE id = p_wallet AND kind = 'wallet' FOR NO KEY UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'there is no wallet %', p_wallet USING ERRCODE = 'no_data_found'; END IF;
  SELECT * INTO transfer FROM ledger_transfers WHERE id = p_id;
  replayed := FOUND;
  IF NOT replayed THEN
    origin := ledger_system_account(p_from, wallet.asset);
    INSERT INTO ledger_transfers (id, debit_account, credit_account, asset, amount, type, description, reference,
        debit_balance_after, credit_balance_after, source, priority, expires_at)
      VALUES (p_id, origin.id, wallet.id, wallet.asset, p_amount, p_type, p_description, p_reference,
        origin.balance - p_amount, wallet.balance + p_amount, p_source, p_priority, p_expires_at)
      ON CONFLICT (id) DO NOTHING RETURNING * INTO transfer;
    IF NOT FOUND THEN
      replayed := true;
      SELECT * INTO STRICT transfer FROM ledger_transfers WHERE id = p_id;
    END IF;
  END IF;
  SELECT code INTO counterpart FROM ledger_accounts WHERE id = transfer.debit_account;
  IF EXISTS (SELECT FROM ledger_shortfalls WHERE wallet_id = p_wallet) THEN
    transfer.credit_balance_after := transfer.credit_balance_after - (
      SELECT coalesce(sum(amount), 0) FROM ledger_transfers
      WHERE debit_account = p_wallet AND seq > transfer.seq AND created_at = transfer.created_at AND id LIKE 'collect:%');
  END IF;
END $$;

-- As before; what becomes free pays what is owed.
CREATE OR REPLACE FUNCTION ledger_close_holds(p_ids uuid[], p_state text, p_expired_at timestamptz) RETURNS SETOF ledger_holds
  LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  wallets bigint[];
  open_ids uuid[];
  owing bigint[];
  wallet bigint;
BEGIN
  SELECT array_agg(id), array_agg(DISTINCT wallet_id) INTO open_ids, wallets
    FROM ledger_holds WHERE id = ANY (p_ids) AND state = 'held';
  IF open_ids IS NULL THEN RETURN; END IF;
  SELECT array_agg(id) FILTER (WHERE shortfall > 0) INTO owing
    FROM (SELECT id, shortfall FROM ledger_accounts WHERE id = ANY (wallets) ORDER BY id FOR NO KEY UPDATE) locked;
  PERFORM FROM ledger_holds WHERE id = ANY (open_ids) ORDER BY id FOR UPDATE;
  RETURN QUERY UPDATE ledger_holds SET state = p_state, closed_at = now()
    WHERE id = ANY (open_ids) AND state = 'held' AND (p_expired_at IS NULL OR expires_at <= p_expired_at) RETURNING *;
  IF owing IS NOT NULL THEN
    FOREACH wallet IN ARRAY owing LOOP
      PERFORM ledger_collect(wallet);
    END LOOP;
  END IF;
END $$;

-- What items cost beyond their wallets: owed by the wallets from now on, and revenue like any other charge.
CREATE FUNCTION ledger_owe(
  p_ids text[], p_wallets bigint[], p_targets text[], p_types text[], p_descriptions text[], p_references text[], p_owes bigint[]
) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  item record;
BEGIN
  FOR item IN
    SELECT q.code, w.asset FROM unnest(p_targets, p_wallets, p_owes) AS q (code, wallet_id, owe) JOIN ledger_accounts w ON w.id = q.wallet_id WHERE q.owe > 0
    UNION SELECT 'unpaid', w.asset FROM unnest(p_wallets, p_owes) AS q (wallet_id, owe) JOIN ledger_accounts w ON w.id = q.wallet_id WHERE q.owe > 0
    ORDER BY 1, 2
  LOOP
    PERFORM ledger_system_account(item.code, item.asset);
  END LOOP;
  INSERT INTO ledger_transfers (id, debit_account, credit_account, asset, amount, type, description, reference,
      debit_balance_after, credit_balance_after)
    SELECT 'shortfall:' || q.id, u.id, t.id, w.asset, q.owe, q.type, q.description, q.reference,
      u.balance - sum(q.owe) OVER (PARTITION BY u.id ORDER BY q.wallet_id, q.n),
      t.balance + sum(q.owe) OVER (PARTITION BY t.id ORDER BY q.wallet_id, q.n)
    FROM unnest(p_ids, p_wallets, p_targets, p_types, p_descriptions, p_references, p_owes) WITH ORDINALITY
      AS q (id, wallet_id, target, type, description, reference, owe, n)
    JOIN ledger_accounts w ON w.id = q.wallet_id
    JOIN ledger_accounts t ON t.code = q.target AND t.asset = w.asset AND t.kind = 'system'
    JOIN ledger_accounts u ON u.code = 'unpaid' AND u.asset = w.asset AND u.kind = 'system'
    WHERE q.owe > 0
    ORDER BY q.wallet_id, q.n;
  INSERT INTO ledger_shortfalls (id, seq, wallet_id, amount)
    SELECT q.id, t.seq, q.wallet_id, q.owe FROM unnest(p_ids, p_wallets, p_owes) AS q (id, wallet_id, owe)
    JOIN ledger_transfers t ON t.id = 'shortfall:' || q.id
    WHERE q.owe > 0;
END $$;

-- As before. An item whose hold is null never had one: the wallet pays what it has and owes the rest.
DROP FUNCTION ledger_settle;
CREATE FUNCTION ledger_settle(
  p_ids text[], p_holds uuid[], p_wallets bigint[], p_costs bigint[], p_targets text[], p_types text[], p_descriptions text[],
  p_references text[], p_percent integer, p_micro bigint
) RETURNS TABLE (id text, charged bigint, uncharged bigint, balance_after bigint, replayed boolean, hold_missing boolean, owed bigint)
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
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
  limited boolean := false;
  owes bigint[] := charges;
  owing bigint[] := '{}';
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
      SELECT q.*, a.balance AS wallet_balance, a.held AS wallet_held, a.shortfall AS wallet_shortfall, s.id IS NOT NULL OR q.nth > 1 AS again,
        CASE WHEN h.state = 'held' AND h.wallet_id = q.wallet_id THEN h.amount END AS open_amount, h.budgets IS NOT NULL AS limited
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
      IF item.wallet_shortfall > 0 THEN owing := owing || wallet; END IF;
    END IF;
    CONTINUE WHEN item.again;
    limited := limited OR item.limited;
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
    missing[item.n] := reserved IS NULL AND item.hold_id IS NOT NULL;
    owes[item.n] := CASE WHEN item.hold_id IS NULL THEN item.cost - charge ELSE 0 END;
    IF owes[item.n] > 0 THEN owing := owing || wallet; END IF;
  END LOOP;

  -- All counters now, those of holds that are closed already too: after this come system accounts, and everybody locks in one order.
  IF limited THEN
    PERFORM FROM ledger_budgets b WHERE b.no IN (SELECT unnest(h.budgets) FROM ledger_holds h WHERE h.id = ANY (p_holds)) ORDER BY b.no FOR NO KEY UPDATE;
  END IF;

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

  IF (SELECT max(owe) FROM unnest(owes) AS owe) > 0 THEN
    PERFORM ledger_owe(p_ids, p_wallets, p_targets, p_types, p_descriptions, p_references, owes);
  END IF;

  -- The settlement last: it is refused unless the transfer, the closed hold and the incident are there.
  INSERT INTO ledger_incidents (kind, reference, details)
    SELECT CASE WHEN q.missing THEN 'hold_missing' ELSE 'uncharged' END, q.id, jsonb_build_object(
      'wallet', q.wallet_id::text, 'hold', q.hold_id, 'cost', q.cost::text, 'charged', q.charge::text, 'uncharged', (q.cost - q.charge)::text)
    FROM unnest(p_ids, p_holds, p_wallets, p_costs, charges, missing, owes) WITH ORDINALITY
      AS q (id, hold_id, wallet_id, cost, charge, missing, owe, n)
    WHERE q.missing OR q.charge + q.owe < q.cost
    ORDER BY q.n;
  INSERT INTO ledger_settlements (id, hold_id, wallet_id, cost, charged, balance_after, hold_missing, owed, budgets)
    SELECT q.id, q.hold_id, q.wallet_id, q.cost, q.charge, q.balance, q.missing, q.owe,
      CASE WHEN limited THEN (SELECT h.budgets FROM ledger_holds h WHERE h.id = q.hold_id AND h.wallet_id = q.wallet_id) END
    FROM unnest(p_ids, p_holds, p_wallets, p_costs, charges, balances, missing, owes)
      AS q (id, hold_id, wallet_id, cost, charge, balance, missing, owe)
    WHERE q.charge IS NOT NULL;

  -- What closed holds have left free pays what is owed.
  FOREACH wallet IN ARRAY owing LOOP
    PERFORM ledger_collect(wallet);
  END LOOP;

  RETURN QUERY
    SELECT q.id, s.charged, s.cost - s.charged - s.owed, s.balance_after, q.charge IS NULL, s.hold_missing, s.owed
    FROM unnest(p_ids, charges) WITH ORDINALITY AS q (id, charge, n)
    JOIN ledger_settlements s ON s.id = q.id
    ORDER BY q.n;
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
      WHEN s.hold_id IS NULL AND (s.hold_missing OR s.charged + s.owed <> s.cost) THEN 'what is not charged is not owed'
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

CREATE OR REPLACE FUNCTION ledger_check_incident() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF EXISTS (
    SELECT FROM ledger_settlements s WHERE s.id = NEW.reference AND s.hold_missing = (NEW.kind = 'hold_missing') AND s.created_at = NEW.at
      AND (s.hold_missing OR s.charged + s.owed < s.cost)
      AND NEW.details = jsonb_build_object('wallet', s.wallet_id::text, 'hold', s.hold_id, 'cost', s.cost::text,
        'charged', s.charged::text, 'uncharged', (s.cost - s.charged)::text)
  ) THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'INSERT of ledger_incidents is refused: no settlement agrees with it' USING ERRCODE = 'restrict_violation';
END $$;

-- As before; nothing is held on a wallet that owes. `shortfalls` is what the wallet of each item owes.
DROP FUNCTION ledger_hold;
CREATE FUNCTION ledger_hold(
  p_ids uuid[], p_wallets bigint[], p_amounts bigint[], p_minimums bigint[], p_owners text[], p_ttls bigint[],
  p_budgets text[], p_periods text[], p_of integer[], p_which integer[], p_limits bigint[],
  OUT kinds text[], OUT amounts bigint[], OUT availables bigint[], OUT totals bigint[], OUT spents bigint[], OUT helds bigint[],
  OUT wallets bigint[], OUT lefts bigint[], OUT shortfalls bigint[]
) LANGUAGE plpgsql SET search_path = public, pg_temp
  -- By key always: a connection keeps the plans it made while the tables were small.
  SET enable_seqscan = off AS $$
DECLARE
  covered boolean;
  due bigint[];
  item record;
  wallet bigint;
  free bigint;
  total bigint;
  room bigint;
  opened boolean;
  counters bigint[];
  spent_of bigint[];
  held_of bigint[];
  granted bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(p_ids)]);
  inserted bigint;
BEGIN
  SELECT bool_and(coalesce(shortfall = 0 AND asked <= balance - held, false)), array_agg(id) FILTER (WHERE next_expiry <= now() AND balance > held),
      array_agg(id), array_agg(balance - held - asked)
    INTO covered, due, wallets, lefts
    FROM (
      SELECT id, balance, held, shortfall, next_expiry FROM ledger_accounts
      WHERE id = ANY (p_wallets) AND kind = 'wallet' ORDER BY id FOR NO KEY UPDATE
    ) locked
    RIGHT JOIN (SELECT wallet_id, sum(amount)::bigint AS asked FROM unnest(p_wallets, p_amounts) AS q (wallet_id, amount) GROUP BY wallet_id) q
      ON q.wallet_id = locked.id;
  IF due IS NOT NULL THEN
    FOREACH wallet IN ARRAY due LOOP
      PERFORM ledger_expire_wallet(wallet, now());
    END LOOP;
  END IF;

  IF p_of IS NOT NULL THEN
    WITH locked AS (
      SELECT b.no, b.id, b.period, b.spent, b.held
      FROM unnest(p_budgets, p_periods) AS q (id, period) JOIN ledger_budgets b ON b.id = q.id AND b.period = q.period
      ORDER BY b.no FOR NO KEY UPDATE OF b
    )
    SELECT array_agg(l.no ORDER BY q.n), array_agg(l.spent ORDER BY q.n), array_agg(l.held ORDER BY q.n)
      INTO counters, spent_of, held_of
      FROM unnest(p_budgets, p_periods) WITH ORDINALITY AS q (id, period, n) LEFT JOIN locked l ON l.id = q.id AND l.period = q.period;
    covered := covered AND (
      SELECT bool_and(coalesce(spent_of[which] + held_of[which] + asked <= most, false))
      FROM (
        SELECT which, sum(p_amounts[of]) AS asked, min(most) AS most
        FROM unnest(p_of, p_which, p_limits) AS e (of, which, most) GROUP BY which
      ) e);
  END IF;

  IF due IS NULL AND covered THEN
    IF p_of IS NULL THEN
      INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at)
        SELECT id, wallet_id, amount, owner, now() + ttl * interval '1 millisecond'
        FROM unnest(p_ids, p_wallets, p_amounts, p_owners, p_ttls) AS q (id, wallet_id, amount, owner, ttl)
        ORDER BY id ON CONFLICT (id) DO NOTHING;
    ELSE
      INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at, budgets)
        SELECT id, wallet_id, amount, owner, now() + ttl * interval '1 millisecond', e.budgets
        FROM unnest(p_ids, p_wallets, p_amounts, p_owners, p_ttls) WITH ORDINALITY AS q (id, wallet_id, amount, owner, ttl, n)
        LEFT JOIN (SELECT of, array_agg(counters[which]) AS budgets FROM unnest(p_of, p_which) AS e (of, which) GROUP BY of) e ON e.of = q.n
        ORDER BY id ON CONFLICT (id) DO NOTHING;
    END IF;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    IF inserted = cardinality(p_ids) THEN RETURN; END IF;
  END IF;

  -- The long way: something is not covered, has just expired, or was asked before.
  availables := granted;
  totals := granted;
  shortfalls := granted;
  spents := array_fill(NULL::bigint, ARRAY[coalesce(cardinality(p_of), 0)]);
  helds := spents;
  wallets := NULL;
  lefts := NULL;
  wallet := NULL;
  FOR item IN
    SELECT q.*, a.balance, a.held, a.shortfall, coalesce(e.low, 1) AS low, coalesce(e.high, 0) AS high,
      h.id IS NOT NULL OR row_number() OVER (PARTITION BY q.id ORDER BY q.n) > 1 AS again
    FROM unnest(p_ids, p_wallets, p_amounts, p_minimums) WITH ORDINALITY AS q (id, wallet_id, amount, minimum, n)
    LEFT JOIN ledger_accounts a ON a.id = q.wallet_id AND a.kind = 'wallet'
    LEFT JOIN ledger_holds h ON h.id = q.id
    LEFT JOIN (SELECT of, min(place)::integer AS low, max(place)::integer AS high FROM unnest(p_of) WITH ORDINALITY AS e (of, place) GROUP BY of) e
      ON e.of = q.n
    ORDER BY q.wallet_id, q.n
  LOOP
    IF wallet IS DISTINCT FROM item.wallet_id THEN
      wallet := item.wallet_id;
      total := item.balance;
      free := item.balance - item.held;
    END IF;
    totals[item.n] := total;
    availables[item.n] := free;
    shortfalls[item.n] := item.shortfall;
    CONTINUE WHEN total IS NULL;
    room := free;
    opened := true;
    FOR place IN item.low..item.high LOOP
      spents[place] := spent_of[p_which[place]];
      helds[place] := held_of[p_which[place]];
      opened := opened AND spents[place] IS NOT NULL;
      -- What is overspent leaves nothing.
      room := least(room, greatest(p_limits[place] - spents[place] - helds[place], 0));
    END LOOP;
    CONTINUE WHEN item.again;
    granted[item.n] := CASE WHEN NOT opened OR item.shortfall > 0 THEN NULL WHEN room >= item.amount THEN item.amount WHEN room >= item.minimum THEN room END;
    CONTINUE WHEN granted[item.n] IS NULL;
    free := free - granted[item.n];
    availables[item.n] := free;
    FOR place IN item.low..item.high LOOP
      held_of[p_which[place]] := held_of[p_which[place]] + granted[item.n];
    END LOOP;
  END LOOP;

  INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at, budgets)
    SELECT id, wallet_id, amount, owner, now() + ttl * interval '1 millisecond', e.budgets
    FROM unnest(p_ids, p_wallets, granted, p_owners, p_ttls) WITH ORDINALITY AS q (id, wallet_id, amount, owner, ttl, n)
    LEFT JOIN (SELECT of, array_agg(counters[which]) AS budgets FROM unnest(p_of, p_which) AS e (of, which) GROUP BY of) e ON e.of = q.n
    WHERE amount IS NOT NULL
    ORDER BY id ON CONFLICT (id) DO NOTHING;

  SELECT array_agg(CASE
      WHEN q.total IS NULL THEN 'unknown'
      WHEN h.id IS NULL THEN 'refused'
      WHEN h.wallet_id <> q.wallet_id THEN 'conflict'
      WHEN h.state <> 'held' THEN 'closed'
      ELSE 'held' END ORDER BY q.n), array_agg(h.amount ORDER BY q.n)
    INTO kinds, amounts
    FROM unnest(p_ids, p_wallets, totals) WITH ORDINALITY AS q (id, wallet_id, total, n)
    LEFT JOIN ledger_holds h ON h.id = q.id;
END $$;

-- What a call was charged, in statistics and lists, is what it takes from its payer, now or later.
CREATE OR REPLACE FUNCTION usage_check_settled() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.settled_at IS NOT NULL AND EXISTS (
    SELECT FROM ledger_settlements s
    WHERE s.id = NEW.id::text AND (s.wallet_id, s.charged + s.owed, s.cost) = (NEW.wallet_id, NEW.cost, NEW.cost + NEW.uncharged)
  ) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'UPDATE of usage_events is refused: the ledger has not settled the call so' USING ERRCODE = 'restrict_violation';
END $$;

-- A shortfall is a bill of its own that is pending until it is paid; the transfers that pay it are none.
CREATE OR REPLACE VIEW transfer_bills AS
  SELECT t.seq AS id, t.debit_account AS wallet_id,
    CASE WHEN t.id LIKE 'collect:%' THEN NULL WHEN t.type = 'CONSUMPTION' THEN 'consumption'::text WHEN t.type = 'REFUND' THEN 'refund'::text END AS type,
    NULL::bigint AS amount, NULL::text AS currency, t.amount AS credits, t.description, NULL::text AS provider, NULL::text AS channel,
    NULL::text AS order_no, t.id AS transaction_id, 'completed'::text AS status, t.created_at, t.created_at AS updated_at,
    t.created_at AS completed_at
  FROM ledger_transfers t;
CREATE VIEW shortfall_bills AS
  SELECT s.seq AS id, s.wallet_id, 'consumption'::text AS type, NULL::bigint AS amount, NULL::text AS currency, s.amount AS credits,
    t.description, NULL::text AS provider, NULL::text AS channel, NULL::text AS order_no, t.id AS transaction_id,
    CASE WHEN s.collected = s.amount THEN 'completed'::text ELSE 'pending'::text END AS status,
    s.created_at, coalesce(s.collected_at, s.created_at) AS updated_at, s.collected_at AS completed_at
  FROM ledger_shortfalls s JOIN ledger_transfers t ON t.seq = s.seq;
CREATE OR REPLACE VIEW billing_records AS
  SELECT * FROM topup_bills UNION ALL SELECT * FROM transfer_bills UNION ALL SELECT * FROM shortfall_bills;

DO $$
DECLARE
  guard record;
BEGIN
  FOR guard IN SELECT tgname, tgrelid::regclass AS of FROM pg_trigger WHERE tgname LIKE 'ledger\_%' AND NOT tgisinternal AND tgenabled <> 'A' LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', guard.of, guard.tgname);
  END LOOP;
END $$;
