-- Posting: the only thing that changes a balance is a row in ledger_transfers.
-- Every function pins its search_path, so that a temporary table of the same name cannot take a ledger table's place.
-- Lock order, everywhere: wallets by id, then holds by id, then the account 'expired', then other system accounts by code.

CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;

-- Applies the transfers of one INSERT: checks them, moves the balances, makes and burns grants. Set-based, so that a batch
-- of 500 costs little more than one.
CREATE FUNCTION ledger_apply_transfers() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wrong record;
  newest bigint := pg_sequence_last_value('ledger_transfers_seq_seq');
  debited bigint;
  burned bigint;
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
  RETURN NULL;
END $$;

CREATE TRIGGER ledger_transfers_apply AFTER INSERT ON ledger_transfers REFERENCING NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_apply_transfers();

-- The account of that name, locked; made on first use. Wallets are opened by ledger_open_wallet only.
CREATE FUNCTION ledger_system_account(p_code text, p_asset text) RETURNS ledger_accounts LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  account ledger_accounts;
BEGIN
  SELECT * INTO account FROM ledger_accounts WHERE code = p_code AND asset = p_asset AND kind = 'system' FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    INSERT INTO ledger_accounts (code, asset, kind) VALUES (p_code, p_asset, 'system') ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT account FROM ledger_accounts WHERE code = p_code AND asset = p_asset AND kind = 'system' FOR NO KEY UPDATE;
  END IF;
  RETURN account;
END $$;

CREATE FUNCTION ledger_open_wallet(p_owner_type text, p_owner_id uuid) RETURNS bigint LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wallet_code text := 'wallet:' || p_owner_type || ':' || p_owner_id;
  found_id bigint;
BEGIN
  SELECT id INTO found_id FROM ledger_accounts WHERE code = wallet_code AND asset = 'CREDIT';
  IF found_id IS NULL THEN
    INSERT INTO ledger_accounts (code, kind) VALUES (wallet_code, 'wallet') ON CONFLICT DO NOTHING;
    SELECT id INTO STRICT found_id FROM ledger_accounts WHERE code = wallet_code AND asset = 'CREDIT';
  END IF;
  RETURN found_id;
END $$;

-- Takes what has expired out of one wallet, which the caller has locked. What open holds still need stays usable and goes at a
-- later call, so that a call admitted before the expiry can be paid: at most balance - held is taken. Returns the amount taken.
CREATE FUNCTION ledger_expire_wallet(p_wallet bigint, p_now timestamptz) RETURNS bigint LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wallet ledger_accounts;
  target ledger_accounts;
  due record;
  taken bigint := 0;
  part bigint;
BEGIN
  SELECT * INTO STRICT wallet FROM ledger_accounts WHERE id = p_wallet AND kind = 'wallet';
  IF wallet.next_expiry IS NULL OR wallet.next_expiry > p_now OR wallet.balance <= wallet.held THEN RETURN 0; END IF;
  target := ledger_system_account('expired', wallet.asset);
  FOR due IN
    SELECT id, remaining, expires_at FROM ledger_grants
    WHERE wallet_id = p_wallet AND remaining > 0 AND expires_at <= p_now
    ORDER BY priority, expires_at, id
  LOOP
    part := least(due.remaining, wallet.balance - wallet.held - taken);
    EXIT WHEN part <= 0;
    taken := taken + part;
    INSERT INTO ledger_transfers (id, debit_account, credit_account, asset, amount, type, description, debit_balance_after, credit_balance_after, grant_id)
      VALUES ('expiry:' || due.id || ':' || due.remaining, p_wallet, target.id, wallet.asset, part, 'EXPIRY', 'Credit expired',
        wallet.balance - taken, target.balance + taken, due.id);
  END LOOP;
  RETURN taken;
END $$;

-- Expires what is due in up to p_limit wallets. Returns how many wallets lost credit.
CREATE FUNCTION ledger_expire_grants(p_now timestamptz, p_limit integer) RETURNS integer LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wallets bigint[];
  wallet bigint;
  changed integer := 0;
BEGIN
  -- All wallets are locked before the first expiry locks a system account.
  SELECT array_agg(id) INTO wallets FROM (
    SELECT id FROM ledger_accounts WHERE id IN (
      SELECT id FROM ledger_accounts WHERE next_expiry <= p_now AND balance > held ORDER BY next_expiry LIMIT p_limit
    ) ORDER BY id FOR NO KEY UPDATE
  ) locked;
  FOREACH wallet IN ARRAY coalesce(wallets, '{}') LOOP
    IF ledger_expire_wallet(wallet, p_now) > 0 THEN changed := changed + 1; END IF;
  END LOOP;
  RETURN changed;
END $$;

-- Credits a wallet once per id. `replayed` with the first transfer's row when the id exists; the caller compares the content.
CREATE FUNCTION ledger_credit(
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
END $$;

-- Debits a wallet once per id, when balance - held covers it; else `transfer` is null and `available` says what there was. With
-- p_grant_of, only the grant made by that transfer is burned, and only what is left of it counts.
CREATE FUNCTION ledger_debit(
  p_id text, p_wallet bigint, p_amount bigint, p_to text, p_type text, p_description text, p_reference text, p_grant_of text,
  OUT transfer ledger_transfers, OUT counterpart text, OUT replayed boolean, OUT available bigint
) LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wallet ledger_accounts;
  target ledger_accounts;
  named ledger_grants;
BEGIN
  SELECT * INTO wallet FROM ledger_accounts WHERE id = p_wallet AND kind = 'wallet' FOR NO KEY UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'there is no wallet %', p_wallet USING ERRCODE = 'no_data_found'; END IF;
  SELECT * INTO transfer FROM ledger_transfers WHERE id = p_id;
  replayed := FOUND;
  IF NOT replayed THEN
    IF ledger_expire_wallet(p_wallet, now()) > 0 THEN SELECT * INTO wallet FROM ledger_accounts WHERE id = p_wallet; END IF;
    available := wallet.balance - wallet.held;
    IF p_grant_of IS NOT NULL THEN
      SELECT * INTO named FROM ledger_grants WHERE transfer_id = p_grant_of AND wallet_id = p_wallet;
      available := least(available, coalesce(named.remaining, 0));
    END IF;
    IF available < p_amount THEN RETURN; END IF;
    target := ledger_system_account(p_to, wallet.asset);
    INSERT INTO ledger_transfers (id, debit_account, credit_account, asset, amount, type, description, reference,
        debit_balance_after, credit_balance_after, grant_id)
      VALUES (p_id, wallet.id, target.id, wallet.asset, p_amount, p_type, p_description, p_reference,
        wallet.balance - p_amount, target.balance + p_amount, named.id)
      ON CONFLICT (id) DO NOTHING RETURNING * INTO transfer;
    IF NOT FOUND THEN
      replayed := true;
      SELECT * INTO STRICT transfer FROM ledger_transfers WHERE id = p_id;
    END IF;
  END IF;
  SELECT code INTO counterpart FROM ledger_accounts WHERE id = transfer.credit_account;
END $$;

INSERT INTO ledger_accounts (code, kind) VALUES
  ('expired', 'system'), ('revenue:usage', 'system'), ('revenue:render', 'system'), ('adjustments', 'system'), ('refunds', 'system');
