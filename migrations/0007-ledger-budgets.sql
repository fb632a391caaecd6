-- Budgets: spend limits beside the wallet, of a key, a user, a token. A counter per budget and period says how much was spent and
-- how much open holds may still spend; both change only together with holds and settlements, in their transactions. The limit itself
-- comes with each hold. Lock order: wallets by id, holds by id, the account 'expired', budgets by no, other system accounts by code.

-- After this day nothing counts on a period any more, wherever on earth it is.
CREATE FUNCTION ledger_period_end(p_period text) RETURNS timestamp LANGUAGE sql IMMUTABLE STRICT
RETURN CASE
  WHEN p_period = 'total' THEN 'infinity'::timestamp
  WHEN p_period LIKE 'm:%' THEN make_date(split_part(split_part(p_period, ':', 2), '-', 1)::integer, right(p_period, 2)::integer, 1) + interval '1 month 1 day'
  ELSE make_date(split_part(split_part(p_period, ':', 2), '-', 1)::integer, substr(right(p_period, 5), 1, 2)::integer, right(p_period, 2)::integer) + interval '2 days'
END;

CREATE TABLE ledger_budgets (
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL CHECK (id ~ '^[a-z]+:[0-9A-Za-z_.-]{1,64}$'),
  period text NOT NULL CHECK (period ~ '^(total|m:\d{4}-(0[1-9]|1[0-2])|(d|to):\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]))$'),
  -- What had been spent in the period when the counter was opened.
  opening bigint NOT NULL DEFAULT 0 CHECK (opening >= 0),
  spent bigint NOT NULL DEFAULT 0 CHECK (spent >= opening),
  held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
  UNIQUE (id, period)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
-- For forgetting old ones.
CREATE INDEX ledger_budgets_ended ON ledger_budgets (ledger_period_end(period)) WHERE period <> 'total';

-- The counters a hold, and later its settlement, counts on; null for none, which costs nothing.
ALTER TABLE ledger_holds ADD COLUMN budgets bigint[] CHECK (cardinality(budgets) > 0);
ALTER TABLE ledger_settlements ADD COLUMN budgets bigint[] CHECK (cardinality(budgets) > 0);
CREATE INDEX ledger_settlements_budgets ON ledger_settlements USING gin (budgets) WHERE budgets IS NOT NULL;

-- These three alone change counters. ledger_check_budgets recognises each by its statement, word for word; see ledger_check_held.
CREATE OR REPLACE FUNCTION ledger_count_opened() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wallets bigint;
  named bigint;
  limited bigint;
  counters bigint;
BEGIN
  IF TG_RELID <> 'public.ledger_holds'::regclass THEN
    RAISE EXCEPTION 'only ledger_holds counts as held' USING ERRCODE = 'restrict_violation';
  END IF;
  UPDATE public.ledger_accounts a SET held = a.held + d.amount FROM (SELECT wallet_id, sum(amount)::bigint AS amount FROM opened GROUP BY wallet_id) d WHERE a.id = d.wallet_id AND a.kind = 'wallet';
  GET DIAGNOSTICS wallets = ROW_COUNT;
  SELECT count(DISTINCT wallet_id), count(budgets) INTO named, limited FROM opened;
  IF wallets <> named THEN
    RAISE EXCEPTION 'a hold names no wallet' USING ERRCODE = 'check_violation';
  END IF;
  IF limited > 0 THEN
    UPDATE public.ledger_budgets b SET held = b.held + d.amount FROM (SELECT no, sum(amount)::bigint AS amount FROM opened CROSS JOIN unnest(budgets) AS no GROUP BY no) d WHERE b.no = d.no;
    GET DIAGNOSTICS counters = ROW_COUNT;
    IF counters <> (SELECT count(DISTINCT no) FROM opened CROSS JOIN unnest(budgets) AS no) THEN
      RAISE EXCEPTION 'a hold names no budget' USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION ledger_count_closed() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_RELID <> 'public.ledger_holds'::regclass THEN
    RAISE EXCEPTION 'only ledger_holds counts as held' USING ERRCODE = 'restrict_violation';
  END IF;
  -- A row that was open and is not open any more; only the state, the expiry and closed_at of a hold can change.
  UPDATE public.ledger_accounts a SET held = a.held - d.amount FROM (SELECT wallet_id, sum(amount)::bigint AS amount FROM after_rows WHERE state <> 'held' GROUP BY wallet_id) d WHERE a.id = d.wallet_id;
  IF EXISTS (SELECT FROM after_rows WHERE budgets IS NOT NULL AND state <> 'held') THEN
    PERFORM FROM public.ledger_budgets WHERE no IN (SELECT unnest(budgets) FROM after_rows WHERE state <> 'held') ORDER BY no FOR NO KEY UPDATE;
    UPDATE public.ledger_budgets b SET held = b.held - d.amount FROM (SELECT no, sum(amount)::bigint AS amount FROM after_rows CROSS JOIN unnest(budgets) AS no WHERE state <> 'held' GROUP BY no) d WHERE b.no = d.no;
  END IF;
  RETURN NULL;
END $$;

-- What was charged is spent of the budgets of its hold. A counter that has been forgotten counts no more.
CREATE FUNCTION ledger_count_settled() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_RELID <> 'public.ledger_settlements'::regclass THEN
    RAISE EXCEPTION 'only ledger_settlements counts as spent' USING ERRCODE = 'restrict_violation';
  END IF;
  IF EXISTS (SELECT FROM settled WHERE budgets IS NOT NULL AND charged > 0) THEN
    PERFORM FROM public.ledger_budgets WHERE no IN (SELECT unnest(budgets) FROM settled) ORDER BY no FOR NO KEY UPDATE;
    UPDATE public.ledger_budgets b SET spent = b.spent + d.amount FROM (SELECT no, sum(charged)::bigint AS amount FROM settled CROSS JOIN unnest(budgets) AS no GROUP BY no) d WHERE b.no = d.no;
  END IF;
  RETURN NULL;
END $$;

-- Counters follow from holds and settlements; who asks in the usual way is known at no cost, anything else must be the sums.
CREATE FUNCTION ledger_check_budgets() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stack text;
BEGIN
  GET DIAGNOSTICS stack = PG_CONTEXT;
  stack := substr(stack, strpos(stack, E'\n') + 1);
  IF starts_with(stack, 'SQL statement "UPDATE public.ledger_budgets b SET held = b.held + d.amount FROM (SELECT no, sum(amount)::bigint AS amount FROM opened CROSS JOIN unnest(budgets) AS no GROUP BY no) d WHERE b.no = d.no"' || E'\nPL/pgSQL function public.ledger_count_opened() line ')
    OR starts_with(stack, 'SQL statement "UPDATE public.ledger_budgets b SET held = b.held - d.amount FROM (SELECT no, sum(amount)::bigint AS amount FROM after_rows CROSS JOIN unnest(budgets) AS no WHERE state <> ''held'' GROUP BY no) d WHERE b.no = d.no"' || E'\nPL/pgSQL function public.ledger_count_closed() line ')
    OR starts_with(stack, 'SQL statement "UPDATE public.ledger_budgets b SET spent = b.spent + d.amount FROM (SELECT no, sum(charged)::bigint AS amount FROM settled CROSS JOIN unnest(budgets) AS no GROUP BY no) d WHERE b.no = d.no"' || E'\nPL/pgSQL function public.ledger_count_settled() line ')
  THEN
    RETURN NULL;
  END IF;
  IF EXISTS (
    SELECT FROM changed c
    WHERE c.held <> (SELECT coalesce(sum(amount), 0) FROM public.ledger_holds WHERE state = 'held' AND budgets @> ARRAY[c.no])
      OR c.spent <> c.opening + (SELECT coalesce(sum(charged), 0) FROM public.ledger_settlements WHERE budgets IS NOT NULL AND budgets @> ARRAY[c.no])
  ) THEN
    RAISE EXCEPTION 'UPDATE of ledger_budgets is refused: counters follow from holds and settlements' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER ledger_settlements_counted AFTER INSERT ON ledger_settlements REFERENCING NEW TABLE AS settled
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_count_settled();
CREATE TRIGGER ledger_budgets_counted AFTER UPDATE ON ledger_budgets REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_budgets();
CREATE TRIGGER ledger_budgets_open BEFORE INSERT ON ledger_budgets FOR EACH ROW
  WHEN (NEW.held <> 0 OR NEW.spent <> NEW.opening) EXECUTE FUNCTION ledger_refuse('a budget begins with what was spent before');
CREATE TRIGGER ledger_budgets_fixed BEFORE UPDATE ON ledger_budgets FOR EACH ROW
  WHEN ((OLD.no, OLD.id, OLD.period, OLD.opening) IS DISTINCT FROM (NEW.no, NEW.id, NEW.period, NEW.opening))
  EXECUTE FUNCTION ledger_refuse('a budget keeps its name');
CREATE TRIGGER ledger_budgets_keep BEFORE DELETE ON ledger_budgets FOR EACH ROW
  WHEN (OLD.held <> 0 OR ledger_period_end(OLD.period) > now() AT TIME ZONE 'UTC' - interval '7 days')
  EXECUTE FUNCTION ledger_refuse('a budget counts until its period is long over');
CREATE TRIGGER ledger_budgets_no_truncate BEFORE TRUNCATE ON ledger_budgets FOR EACH STATEMENT
  EXECUTE FUNCTION ledger_refuse('a budget counts until its period is long over');

-- The same guard as before; a hold keeps its budgets too.
DROP TRIGGER ledger_holds_fixed ON ledger_holds;
CREATE TRIGGER ledger_holds_fixed BEFORE UPDATE ON ledger_holds FOR EACH ROW
  WHEN (OLD.state <> 'held' OR (OLD.id, OLD.wallet_id, OLD.amount, OLD.owner, OLD.created_at, OLD.budgets)
    IS DISTINCT FROM (NEW.id, NEW.wallet_id, NEW.amount, NEW.owner, NEW.created_at, NEW.budgets))
  EXECUTE FUNCTION ledger_refuse('an open hold can only be extended or closed, a closed one not changed');

-- Opens counters with what was spent before; those that are there stay as they are.
CREATE FUNCTION ledger_open_budgets(p_ids text[], p_periods text[], p_openings bigint[]) RETURNS void LANGUAGE sql SET search_path = public, pg_temp AS $$
  INSERT INTO ledger_budgets (id, period, opening, spent)
    SELECT DISTINCT ON (id, period) id, period, opening, opening FROM unnest(p_ids, p_periods, p_openings) AS q (id, period, opening)
    ORDER BY id, period ON CONFLICT (id, period) DO NOTHING;
$$;

-- Forgets counters whose period ended before a time and on which nothing is held, a batch at a time.
CREATE FUNCTION ledger_forget_budgets(p_before timestamptz, p_limit integer) RETURNS bigint LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  forgotten bigint;
BEGIN
  DELETE FROM ledger_budgets WHERE no = ANY (ARRAY(
    SELECT no FROM ledger_budgets
    WHERE period <> 'total' AND ledger_period_end(period) < p_before AT TIME ZONE 'UTC' AND held = 0
    ORDER BY no LIMIT p_limit FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  RETURN forgotten;
END $$;

-- As before; what is charged counts on the budgets of the hold, also when the hold is closed already.
CREATE OR REPLACE FUNCTION ledger_settle(
  p_ids text[], p_holds uuid[], p_wallets bigint[], p_costs bigint[], p_targets text[], p_types text[], p_descriptions text[],
  p_references text[], p_percent integer, p_micro bigint
) RETURNS TABLE (id text, charged bigint, uncharged bigint, balance_after bigint, replayed boolean, hold_missing boolean)
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
  INSERT INTO ledger_settlements (id, hold_id, wallet_id, cost, charged, balance_after, hold_missing, budgets)
    SELECT q.id, q.hold_id, q.wallet_id, q.cost, q.charge, q.balance, q.missing,
      CASE WHEN limited THEN (SELECT h.budgets FROM ledger_holds h WHERE h.id = q.hold_id AND h.wallet_id = q.wallet_id) END
    FROM unnest(p_ids, p_holds, p_wallets, p_costs, charges, balances, missing)
      AS q (id, hold_id, wallet_id, cost, charge, balance, missing)
    WHERE q.charge IS NOT NULL;

  RETURN QUERY
    SELECT q.id, s.charged, s.cost - s.charged, s.balance_after, q.charge IS NULL, s.hold_missing
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
      WHEN NOT s.hold_missing AND (h.state, h.closed_at) IS DISTINCT FROM ('settled', now()) THEN 'its hold was not settled now'
      WHEN NOT s.hold_missing AND s.charged < least(s.cost, h.amount) THEN 'its hold covers more'
      WHEN s.hold_missing AND h.state = 'held' THEN 'its hold is there'
      WHEN s.budgets IS DISTINCT FROM h.budgets THEN 'it counts on other budgets than its hold'
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


-- Authorizes a batch. As ledger_authorize (which stays for copies of the release before) with budgets: p_budgets and p_periods name
-- the counters of the batch; p_of, p_which and p_limits say that the p_of-th item counts on the p_which-th counter and with which
-- limit, items in order. All five are null when no item has a budget. An item holds at most what its wallet and each of its budgets
-- leave: limit - spent - held. One that names a counter which is not there is refused.
-- Short answer (kinds null): every item is held in full, and lefts is what is available in each of wallets after all of them. Else
-- availables is per item what is available after it, and spents and helds are per p_of what its counter said when the item's turn
-- came, null for a counter that is not there.
CREATE FUNCTION ledger_hold(
  p_ids uuid[], p_wallets bigint[], p_amounts bigint[], p_minimums bigint[], p_owners text[], p_ttls bigint[],
  p_budgets text[], p_periods text[], p_of integer[], p_which integer[], p_limits bigint[],
  OUT kinds text[], OUT amounts bigint[], OUT availables bigint[], OUT totals bigint[], OUT spents bigint[], OUT helds bigint[],
  OUT wallets bigint[], OUT lefts bigint[]
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
  SELECT bool_and(coalesce(asked <= balance - held, false)), array_agg(id) FILTER (WHERE next_expiry <= now() AND balance > held),
      array_agg(id), array_agg(balance - held - asked)
    INTO covered, due, wallets, lefts
    FROM (
      SELECT id, balance, held, next_expiry FROM ledger_accounts
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
  spents := array_fill(NULL::bigint, ARRAY[coalesce(cardinality(p_of), 0)]);
  helds := spents;
  wallets := NULL;
  lefts := NULL;
  wallet := NULL;
  FOR item IN
    SELECT q.*, a.balance, a.held, coalesce(e.low, 1) AS low, coalesce(e.high, 0) AS high,
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
    granted[item.n] := CASE WHEN NOT opened THEN NULL WHEN room >= item.amount THEN item.amount WHEN room >= item.minimum THEN room END;
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

DO $$
DECLARE
  guard record;
BEGIN
  FOR guard IN SELECT tgname, tgrelid::regclass AS of FROM pg_trigger WHERE tgname LIKE 'ledger\_%' AND NOT tgisinternal AND tgenabled <> 'A' LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', guard.of, guard.tgname);
  END LOOP;
END $$;
