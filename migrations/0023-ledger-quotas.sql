-- Quotas: budgets that count something else than what is charged. A counter's period says what it counts: `qr:` requests, `qt:` tokens,
-- `qc:` credits, until the moment it names. Requests and tokens are counted in hundredths, so that a model's weight in percent is exact.

-- As before, and the periods of quotas, which end at a moment.
CREATE OR REPLACE FUNCTION ledger_period_end(p_period text) RETURNS timestamp LANGUAGE sql IMMUTABLE STRICT
RETURN CASE
  WHEN p_period = 'total' THEN 'infinity'::timestamp
  WHEN p_period LIKE 'q_:%' THEN make_timestamp(substr(p_period, 4, 4)::integer, substr(p_period, 9, 2)::integer, substr(p_period, 12, 2)::integer,
    substr(p_period, 15, 2)::integer, substr(p_period, 18, 2)::integer, 0)
  WHEN p_period LIKE 'm:%' THEN make_date(split_part(split_part(p_period, ':', 2), '-', 1)::integer, right(p_period, 2)::integer, 1) + interval '1 month 1 day'
  ELSE make_date(split_part(split_part(p_period, ':', 2), '-', 1)::integer, substr(right(p_period, 5), 1, 2)::integer, right(p_period, 2)::integer) + interval '2 days'
END;

ALTER TABLE ledger_budgets DROP CONSTRAINT ledger_budgets_period_check;
ALTER TABLE ledger_budgets ADD CONSTRAINT ledger_budgets_period_check CHECK (period ~
  '^(total|m:\d{4}-(0[1-9]|1[0-2])|(d|to):\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])|q[rtc]:\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\dZ)$');

-- What a hold counts on each of its budgets; null, or a null element, for its amount. tokens: what the call used in the end, weighted,
-- in hundredths; said once, with the record that is to be settled.
ALTER TABLE ledger_holds ADD COLUMN counts bigint[], ADD COLUMN tokens bigint CHECK (tokens >= 0);
ALTER TABLE ledger_holds ADD CONSTRAINT ledger_holds_counts CHECK (counts IS NULL OR (cardinality(counts) = cardinality(budgets) AND (0 <= ALL (counts)) IS NOT FALSE));
-- What a settlement counts on each of its budgets; null, or a null element, for what was charged.
ALTER TABLE ledger_settlements ADD COLUMN counts bigint[];
ALTER TABLE ledger_settlements ADD CONSTRAINT ledger_settlements_counts CHECK (counts IS NULL OR cardinality(counts) = cardinality(budgets));

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
    UPDATE public.ledger_budgets b SET held = b.held + d.amount FROM (SELECT u.no, sum(coalesce(u.n, o.amount))::bigint AS amount FROM opened o CROSS JOIN unnest(o.budgets, o.counts) AS u (no, n) GROUP BY u.no) d WHERE b.no = d.no;
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
  -- A row that was open and is not open any more; only the state, the expiry, the tokens and closed_at of a hold can change.
  UPDATE public.ledger_accounts a SET held = a.held - d.amount FROM (SELECT wallet_id, sum(amount)::bigint AS amount FROM after_rows WHERE state <> 'held' GROUP BY wallet_id) d WHERE a.id = d.wallet_id;
  IF EXISTS (SELECT FROM after_rows WHERE budgets IS NOT NULL AND state <> 'held') THEN
    PERFORM FROM public.ledger_budgets WHERE no IN (SELECT unnest(budgets) FROM after_rows WHERE state <> 'held') ORDER BY no FOR NO KEY UPDATE;
    UPDATE public.ledger_budgets b SET held = b.held - d.amount FROM (SELECT u.no, sum(coalesce(u.n, o.amount))::bigint AS amount FROM after_rows o CROSS JOIN unnest(o.budgets, o.counts) AS u (no, n) WHERE o.state <> 'held' GROUP BY u.no) d WHERE b.no = d.no;
  END IF;
  RETURN NULL;
END $$;

-- What was charged, or counted in its place, is spent of the budgets of its hold. A counter that has been forgotten counts no more.
CREATE OR REPLACE FUNCTION ledger_count_settled() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_RELID <> 'public.ledger_settlements'::regclass THEN
    RAISE EXCEPTION 'only ledger_settlements counts as spent' USING ERRCODE = 'restrict_violation';
  END IF;
  IF EXISTS (SELECT FROM settled WHERE budgets IS NOT NULL AND (charged > 0 OR counts IS NOT NULL)) THEN
    PERFORM FROM public.ledger_budgets WHERE no IN (SELECT unnest(budgets) FROM settled) ORDER BY no FOR NO KEY UPDATE;
    UPDATE public.ledger_budgets b SET spent = b.spent + d.amount FROM (SELECT u.no, sum(coalesce(u.n, o.charged))::bigint AS amount FROM settled o CROSS JOIN unnest(o.budgets, o.counts) AS u (no, n) GROUP BY u.no) d WHERE b.no = d.no;
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
    OR starts_with(stack, 'SQL statement "UPDATE public.ledger_budgets b SET spent = b.spent + d.amount FROM (SELECT u.no, sum(coalesce(u.n, o.charged))::bigint AS amount FROM settled o CROSS JOIN unnest(o.budgets, o.counts) AS u (no, n) GROUP BY u.no) d WHERE b.no = d.no"' || E'\nPL/pgSQL function public.ledger_count_settled() line ')
  THEN
    RETURN NULL;
  END IF;
  IF EXISTS (
    SELECT FROM changed c
    WHERE c.held <> (SELECT coalesce(sum(coalesce(u.n, h.amount)), 0) FROM public.ledger_holds h CROSS JOIN unnest(h.budgets, h.counts) AS u (no, n)
        WHERE h.state = 'held' AND h.budgets @> ARRAY[c.no] AND u.no = c.no)
      OR c.spent <> c.opening + (SELECT coalesce(sum(coalesce(u.n, s.charged)), 0) FROM public.ledger_settlements s CROSS JOIN unnest(s.budgets, s.counts) AS u (no, n)
        WHERE s.budgets IS NOT NULL AND s.budgets @> ARRAY[c.no] AND u.no = c.no)
  ) THEN
    RAISE EXCEPTION 'UPDATE of ledger_budgets is refused: counters follow from holds and settlements' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;

-- The same guard as before; a hold keeps its counts too, and its tokens once they are said.
DROP TRIGGER ledger_holds_fixed ON ledger_holds;
CREATE TRIGGER ledger_holds_fixed BEFORE UPDATE ON ledger_holds FOR EACH ROW
  WHEN (OLD.state <> 'held' OR (OLD.tokens IS NOT NULL AND OLD.tokens IS DISTINCT FROM NEW.tokens)
    OR (OLD.id, OLD.wallet_id, OLD.amount, OLD.owner, OLD.created_at, OLD.budgets, OLD.counts)
    IS DISTINCT FROM (NEW.id, NEW.wallet_id, NEW.amount, NEW.owner, NEW.created_at, NEW.budgets, NEW.counts))
  EXECUTE FUNCTION ledger_refuse('an open hold can only be extended or closed, a closed one not changed');

-- What a settlement counts follows from its hold: of a counter of tokens what was used, once that is known, of others what was held.
CREATE FUNCTION ledger_settled_counts(p_budgets bigint[], p_counts bigint[], p_tokens bigint) RETURNS bigint[] LANGUAGE sql STABLE SET search_path = public, pg_temp
RETURN CASE WHEN p_tokens IS NULL THEN p_counts ELSE (
  SELECT array_agg(CASE WHEN b.period LIKE 'qt:%' THEN p_tokens ELSE u.n END ORDER BY u.place)
  FROM unnest(p_budgets, p_counts) WITH ORDINALITY AS u (no, n, place) LEFT JOIN ledger_budgets b ON b.no = u.no
) END;

CREATE FUNCTION ledger_fill_counts() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  SELECT ledger_settled_counts(h.budgets, h.counts, h.tokens) INTO NEW.counts
    FROM ledger_holds h WHERE h.id = NEW.hold_id AND h.wallet_id = NEW.wallet_id AND h.counts IS NOT NULL;
  RETURN NEW;
END $$;
-- Settlements without budgets pay nothing for this.
CREATE TRIGGER ledger_settlements_counts BEFORE INSERT ON ledger_settlements FOR EACH ROW
  WHEN (NEW.budgets IS NOT NULL) EXECUTE FUNCTION ledger_fill_counts();

-- Notes what calls used, weighted, in hundredths of a token: in the transaction that records them. Said again it changes nothing.
CREATE FUNCTION ledger_note_tokens(p_ids uuid[], p_tokens bigint[]) RETURNS void LANGUAGE sql SET search_path = public, pg_temp
  SET enable_seqscan = off AS $$
  UPDATE ledger_holds h SET tokens = q.tokens FROM unnest(p_ids, p_tokens) AS q (id, tokens)
    WHERE h.id = q.id AND h.counts IS NOT NULL AND h.tokens IS NULL AND h.state IS NOT DISTINCT FROM 'held';
$$;

-- Authorizes a batch. As before, and for each p_of what the item counts there (p_counts; null for its amount) and what it counts at
-- least (p_leasts; null: all of it, or nothing is held). Both are null when every budget is one of credits. An item is held when its
-- wallet and all its budgets leave enough and its wallet owes nothing; what it holds of its amount is the least that wallet and budgets
-- of credits leave, what it counts on another budget is what that one leaves.
-- Short answer (kinds null): every item is held in full, and lefts is what is available in each of wallets after all of them. Else
-- availables is per item what is available after it, shortfalls what its wallet owes, spents and helds are per p_of what its counter
-- said when the item's turn came (null for a counter that is not there), and counts per p_of what is held there of those with a p_counts.
DROP FUNCTION ledger_hold;
CREATE FUNCTION ledger_hold(
  p_ids uuid[], p_wallets bigint[], p_amounts bigint[], p_minimums bigint[], p_owners text[], p_ttls bigint[],
  p_budgets text[], p_periods text[], p_of integer[], p_which integer[], p_limits bigint[], p_counts bigint[], p_leasts bigint[],
  OUT kinds text[], OUT amounts bigint[], OUT availables bigint[], OUT totals bigint[], OUT spents bigint[], OUT helds bigint[],
  OUT counts bigint[], OUT wallets bigint[], OUT lefts bigint[], OUT shortfalls bigint[]
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
  part bigint;
  opened boolean;
  fits boolean;
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
        SELECT which, sum(coalesce(n, p_amounts[of])) AS asked, min(most) AS most
        FROM unnest(p_of, p_which, p_limits, p_counts) AS e (of, which, most, n) GROUP BY which
      ) e);
  END IF;

  IF due IS NULL AND covered THEN
    IF p_of IS NULL THEN
      INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at)
        SELECT id, wallet_id, amount, owner, now() + ttl * interval '1 millisecond'
        FROM unnest(p_ids, p_wallets, p_amounts, p_owners, p_ttls) AS q (id, wallet_id, amount, owner, ttl)
        ORDER BY id ON CONFLICT (id) DO NOTHING;
    ELSE
      INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at, budgets, counts)
        SELECT id, wallet_id, amount, owner, now() + ttl * interval '1 millisecond', e.budgets, e.counts
        FROM unnest(p_ids, p_wallets, p_amounts, p_owners, p_ttls) WITH ORDINALITY AS q (id, wallet_id, amount, owner, ttl, n)
        LEFT JOIN (
          SELECT of, array_agg(counters[which]) AS budgets, CASE WHEN count(n) > 0 THEN array_agg(n) END AS counts
          FROM unnest(p_of, p_which, p_counts) AS e (of, which, n) GROUP BY of
        ) e ON e.of = q.n
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
  counts := spents;
  wallets := NULL;
  lefts := NULL;
  wallet := NULL;
  FOR item IN
    SELECT q.*, a.balance, a.held, a.shortfall, coalesce(e.low, 1) AS low, coalesce(e.high, 0) AS high,
      h.id IS NOT NULL OR row_number() OVER (PARTITION BY q.id ORDER BY q.n) > 1 AS again, h.counts AS counted
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
    fits := true;
    FOR place IN item.low..item.high LOOP
      spents[place] := spent_of[p_which[place]];
      helds[place] := held_of[p_which[place]];
      opened := opened AND spents[place] IS NOT NULL;
      -- What is overspent leaves nothing.
      part := greatest(p_limits[place] - spents[place] - helds[place], 0);
      IF p_counts[place] IS NULL THEN
        room := least(room, part);
      ELSE
        counts[place] := CASE WHEN item.counted IS NULL THEN least(p_counts[place], part) ELSE item.counted[place - item.low + 1] END;
        fits := fits AND counts[place] >= coalesce(p_leasts[place], p_counts[place]);
      END IF;
    END LOOP;
    CONTINUE WHEN item.again;
    granted[item.n] := CASE WHEN NOT opened OR NOT fits OR item.shortfall > 0 THEN NULL WHEN room >= item.amount THEN item.amount WHEN room >= item.minimum THEN room END;
    CONTINUE WHEN granted[item.n] IS NULL;
    free := free - granted[item.n];
    availables[item.n] := free;
    FOR place IN item.low..item.high LOOP
      held_of[p_which[place]] := held_of[p_which[place]] + coalesce(counts[place], granted[item.n]);
    END LOOP;
  END LOOP;

  INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at, budgets, counts)
    SELECT id, wallet_id, amount, owner, now() + ttl * interval '1 millisecond', e.budgets, e.counts
    FROM unnest(p_ids, p_wallets, granted, p_owners, p_ttls) WITH ORDINALITY AS q (id, wallet_id, amount, owner, ttl, n)
    LEFT JOIN (
      SELECT of, array_agg(counters[which]) AS budgets, CASE WHEN count(n) > 0 THEN array_agg(n) END AS counts
      FROM unnest(p_of, p_which, ledger_hold.counts) AS e (of, which, n) GROUP BY of
    ) e ON e.of = q.n
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
