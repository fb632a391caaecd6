-- Holds: credit reserved before a call and settled or released after it.

-- These two alone change held. ledger_check_held recognises each by its statement, word for word, and by its name in schema
-- public, which is why they are written on one line and with a search_path that does not contain public.
CREATE FUNCTION ledger_count_opened() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wallets bigint;
BEGIN
  IF TG_RELID <> 'public.ledger_holds'::regclass THEN
    RAISE EXCEPTION 'only ledger_holds counts as held' USING ERRCODE = 'restrict_violation';
  END IF;
  UPDATE public.ledger_accounts a SET held = a.held + d.amount FROM (SELECT wallet_id, sum(amount)::bigint AS amount FROM opened GROUP BY wallet_id) d WHERE a.id = d.wallet_id AND a.kind = 'wallet';
  GET DIAGNOSTICS wallets = ROW_COUNT;
  IF wallets <> (SELECT count(DISTINCT wallet_id) FROM opened) THEN
    RAISE EXCEPTION 'a hold names no wallet' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION ledger_count_closed() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_RELID <> 'public.ledger_holds'::regclass THEN
    RAISE EXCEPTION 'only ledger_holds counts as held' USING ERRCODE = 'restrict_violation';
  END IF;
  -- A row that was open and is not open any more; only the state, the expiry and closed_at of a hold can change.
  UPDATE public.ledger_accounts a SET held = a.held - d.amount FROM (SELECT wallet_id, sum(amount)::bigint AS amount FROM after_rows WHERE state <> 'held' GROUP BY wallet_id) d WHERE a.id = d.wallet_id;
  RETURN NULL;
END $$;

-- What is held follows from the holds. The usual way in is told by who asks, at no cost; anything else must be the sum of the
-- open holds. (Where lc_messages is not English the usual way is not recognised and is summed up too: right, but slow.)
CREATE FUNCTION ledger_check_held() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stack text;
BEGIN
  GET DIAGNOSTICS stack = PG_CONTEXT;
  stack := substr(stack, strpos(stack, E'\n') + 1);
  -- A forger would need a statement that begins with these words and goes on with a quote: that is not SQL.
  IF starts_with(stack, 'SQL statement "UPDATE public.ledger_accounts a SET held = a.held + d.amount FROM (SELECT wallet_id, sum(amount)::bigint AS amount FROM opened GROUP BY wallet_id) d WHERE a.id = d.wallet_id AND a.kind = ''wallet''"' || E'\nPL/pgSQL function public.ledger_count_opened() line ')
    OR starts_with(stack, 'SQL statement "UPDATE public.ledger_accounts a SET held = a.held - d.amount FROM (SELECT wallet_id, sum(amount)::bigint AS amount FROM after_rows WHERE state <> ''held'' GROUP BY wallet_id) d WHERE a.id = d.wallet_id"' || E'\nPL/pgSQL function public.ledger_count_closed() line ')
  THEN
    RETURN NULL;
  END IF;
  IF NEW.held = (SELECT coalesce(sum(amount), 0) FROM public.ledger_holds WHERE wallet_id = NEW.id AND state = 'held') THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'UPDATE of ledger_accounts is refused: held is the sum of the open holds' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER ledger_accounts_held AFTER UPDATE ON ledger_accounts FOR EACH ROW
  WHEN (OLD.held IS DISTINCT FROM NEW.held) EXECUTE FUNCTION ledger_check_held();
CREATE TRIGGER ledger_holds_opened AFTER INSERT ON ledger_holds REFERENCING NEW TABLE AS opened
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_count_opened();
CREATE TRIGGER ledger_holds_closed AFTER UPDATE ON ledger_holds REFERENCING NEW TABLE AS after_rows
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_count_closed();
CREATE TRIGGER ledger_holds_open BEFORE INSERT ON ledger_holds FOR EACH ROW
  WHEN (NEW.state <> 'held') EXECUTE FUNCTION ledger_refuse('a hold begins open');
CREATE TRIGGER ledger_holds_fixed BEFORE UPDATE ON ledger_holds FOR EACH ROW
  WHEN (OLD.state <> 'held' OR (OLD.id, OLD.wallet_id, OLD.amount, OLD.owner, OLD.created_at)
    IS DISTINCT FROM (NEW.id, NEW.wallet_id, NEW.amount, NEW.owner, NEW.created_at))
  EXECUTE FUNCTION ledger_refuse('an open hold can only be extended or closed, a closed one not changed');
CREATE TRIGGER ledger_holds_keep BEFORE DELETE ON ledger_holds FOR EACH ROW
  WHEN (OLD.state = 'held') EXECUTE FUNCTION ledger_refuse('release the hold first');
CREATE TRIGGER ledger_holds_no_truncate BEFORE TRUNCATE ON ledger_holds FOR EACH STATEMENT
  EXECUTE FUNCTION ledger_refuse('release the holds first');

-- Authorizes a batch. Each item is decided on its own, in the order given within its wallet; the same id again gets the first
-- answer. An item whose amount is not covered holds what is available when that is at least its minimum (null: no partial hold).
-- Null arrays are the short answer for "every item is held in full". Otherwise kinds per item: held, refused, closed (the hold
-- exists and is closed), conflict (the id belongs to another hold), unknown (there is no such wallet).
CREATE FUNCTION ledger_authorize(
  p_ids uuid[], p_wallets bigint[], p_amounts bigint[], p_minimums bigint[], p_owners text[], p_ttls bigint[],
  OUT kinds text[], OUT amounts bigint[], OUT availables bigint[], OUT totals bigint[]
) LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  covered boolean;
  due bigint[];
  item record;
  wallet bigint;
  free bigint;
  total bigint;
  granted bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(p_ids)]);
  inserted bigint;
BEGIN
  SELECT bool_and(coalesce(asked <= balance - held, false)), array_agg(id) FILTER (WHERE next_expiry <= now() AND balance > held)
    INTO covered, due
    FROM (
      SELECT id, balance, held, next_expiry FROM ledger_accounts
      WHERE id = ANY (p_wallets) AND kind = 'wallet' ORDER BY id FOR NO KEY UPDATE
    ) locked
    RIGHT JOIN (SELECT wallet_id, sum(amount) AS asked FROM unnest(p_wallets, p_amounts) AS q (wallet_id, amount) GROUP BY wallet_id) q
      ON q.wallet_id = locked.id;

  IF due IS NULL AND covered THEN
    INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at)
      SELECT id, wallet_id, amount, owner, now() + ttl * interval '1 millisecond'
      FROM unnest(p_ids, p_wallets, p_amounts, p_owners, p_ttls) AS q (id, wallet_id, amount, owner, ttl)
      ORDER BY id ON CONFLICT (id) DO NOTHING;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    IF inserted = cardinality(p_ids) THEN RETURN; END IF;
  ELSE
    FOREACH wallet IN ARRAY coalesce(due, '{}') LOOP
      PERFORM ledger_expire_wallet(wallet, now());
    END LOOP;
  END IF;

  -- The long way: something is not covered, has just expired, or was asked before.
  availables := granted;
  totals := granted;
  wallet := NULL;
  FOR item IN
    SELECT q.*, a.balance, a.held, h.id IS NOT NULL OR row_number() OVER (PARTITION BY q.id ORDER BY q.n) > 1 AS again
    FROM unnest(p_ids, p_wallets, p_amounts, p_minimums) WITH ORDINALITY AS q (id, wallet_id, amount, minimum, n)
    LEFT JOIN ledger_accounts a ON a.id = q.wallet_id AND a.kind = 'wallet'
    LEFT JOIN ledger_holds h ON h.id = q.id
    ORDER BY q.wallet_id, q.n
  LOOP
    IF wallet IS DISTINCT FROM item.wallet_id THEN
      wallet := item.wallet_id;
      total := item.balance;
      free := item.balance - item.held;
    END IF;
    availables[item.n] := free;
    totals[item.n] := total;
    granted[item.n] := CASE
      WHEN item.again THEN NULL
      WHEN free >= item.amount THEN item.amount
      WHEN free >= item.minimum THEN free
    END;
    free := free - coalesce(granted[item.n], 0);
  END LOOP;

  INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at)
    SELECT id, wallet_id, amount, owner, now() + ttl * interval '1 millisecond'
    FROM unnest(p_ids, p_wallets, granted, p_owners, p_ttls) AS q (id, wallet_id, amount, owner, ttl)
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

-- Renews open holds; a pinned one stays pinned. Returns the ids still open.
CREATE FUNCTION ledger_extend(p_ids uuid[], p_ttl bigint) RETURNS SETOF uuid LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM ledger_holds WHERE id = ANY (p_ids) AND state = 'held' ORDER BY id FOR UPDATE;
  RETURN QUERY UPDATE ledger_holds SET expires_at = greatest(expires_at, now() + p_ttl * interval '1 millisecond')
    WHERE id = ANY (p_ids) AND state = 'held' RETURNING id;
END $$;

-- Keeps open holds from the sweep for good: called in the transaction that records what they are to be settled for.
CREATE FUNCTION ledger_pin_holds(p_ids uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM ledger_holds WHERE id = ANY (p_ids) AND state = 'held' ORDER BY id FOR UPDATE;
  UPDATE ledger_holds SET expires_at = 'infinity' WHERE id = ANY (p_ids) AND state = 'held';
END $$;

-- Closes those of the holds that are open (and, with p_expired_at, had expired by then). Returns the ones it closed.
CREATE FUNCTION ledger_close_holds(p_ids uuid[], p_state text, p_expired_at timestamptz) RETURNS SETOF ledger_holds
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wallets bigint[];
  open_ids uuid[];
BEGIN
  SELECT array_agg(id), array_agg(DISTINCT wallet_id) INTO open_ids, wallets
    FROM ledger_holds WHERE id = ANY (p_ids) AND state = 'held';
  IF open_ids IS NULL THEN RETURN; END IF;
  PERFORM FROM ledger_accounts WHERE id = ANY (wallets) ORDER BY id FOR NO KEY UPDATE;
  PERFORM FROM ledger_holds WHERE id = ANY (open_ids) ORDER BY id FOR UPDATE;
  RETURN QUERY UPDATE ledger_holds SET state = p_state, closed_at = now()
    WHERE id = ANY (open_ids) AND state = 'held' AND (p_expired_at IS NULL OR expires_at <= p_expired_at) RETURNING *;
END $$;

-- Releases holds that expired at least 15 s before p_now and records each as an incident. The time between is for owners who
-- could not renew because the database was away: they come back together with the sweep.
CREATE FUNCTION ledger_sweep(p_now timestamptz, p_limit integer) RETURNS SETOF ledger_holds LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  swept ledger_holds;
  expired_by timestamptz := p_now - interval '15 seconds';
BEGIN
  FOR swept IN SELECT * FROM ledger_close_holds(ARRAY(
      SELECT id FROM ledger_holds WHERE state = 'held' AND expires_at <= expired_by ORDER BY expires_at LIMIT p_limit
    ), 'swept', expired_by)
  LOOP
    INSERT INTO ledger_incidents (kind, reference, details) VALUES ('hold_swept', swept.id::text,
      jsonb_build_object('wallet', swept.wallet_id::text, 'amount', swept.amount::text, 'owner', swept.owner, 'expired_at', swept.expires_at));
    RETURN NEXT swept;
  END LOOP;
END $$;

-- Forgets holds closed before a time, a batch at a time. Settlements stay: they are what makes settling exactly once.
CREATE FUNCTION ledger_forget_holds(p_before timestamptz, p_limit integer) RETURNS bigint LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  forgotten bigint;
BEGIN
  DELETE FROM ledger_holds WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM ledger_holds WHERE created_at < p_before AND state <> 'held' AND closed_at < p_before LIMIT p_limit FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  RETURN forgotten;
END $$;
