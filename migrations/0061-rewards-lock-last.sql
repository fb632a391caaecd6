-- What all rewards share (the account that pays, 'unpaid') is locked by the last statement before the commit: a transaction that stops before
-- it holds up nobody else.

-- ledger_credit, of which so much as is there is taken back at once, up to p_less, by whoever paid it. `balance` is what is left in the wallet.
CREATE FUNCTION ledger_credit_less(
  p_id text, p_wallet bigint, p_amount bigint, p_from text, p_source text, p_type text, p_priority smallint, p_expires_at timestamptz,
  p_description text, p_reference text, p_less_id text, p_less bigint, p_less_description text,
  OUT transfer ledger_transfers, OUT counterpart text, OUT replayed boolean, OUT balance bigint, OUT taken bigint
) LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  credited record;
  back record;
BEGIN
  SELECT * INTO credited FROM ledger_credit(p_id, p_wallet, p_amount, p_from, p_source, p_type, p_priority, p_expires_at, p_description, p_reference);
  transfer := credited.transfer;
  counterpart := credited.counterpart;
  replayed := credited.replayed;
  balance := (credited.transfer).credit_balance_after;
  taken := 0;
  IF replayed OR p_less <= 0 THEN RETURN; END IF;
  SELECT * INTO back FROM ledger_debit(p_less_id, p_wallet, p_less, p_from, p_type, p_less_description, p_id, p_id);
  IF (back.transfer).id IS NULL AND back.available > 0 THEN
    SELECT * INTO back FROM ledger_debit(p_less_id, p_wallet, back.available, p_from, p_type, p_less_description, p_id, p_id);
  END IF;
  IF (back.transfer).id IS NULL THEN RETURN; END IF;
  taken := (back.transfer).amount;
  balance := (back.transfer).debit_balance_after;
END $$;

-- What follows from a reward in the statement that pays it: its balance in the row that says what it was for, and what was held back of it, for
-- earlier ones that were taken back, in the order given. Answers the parts of these.
CREATE FUNCTION reward_paid(p_balance bigint, p_taken bigint, p_id text, p_kind text, p_due text[], p_missing bigint[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  parts jsonb := '[]';
BEGIN
  IF p_kind = 'campaign' THEN
    UPDATE campaign_claims SET balance_after = p_balance
      WHERE campaign_id = split_part(p_id, ':', 2)::uuid AND user_id = split_part(p_id, ':', 3)::uuid AND no = split_part(p_id, ':', 4)::integer;
  ELSIF p_kind = 'checkin' THEN
    UPDATE checkins SET balance_after = p_balance WHERE user_id = split_part(p_id, ':', 2)::uuid AND day = split_part(p_id, ':', 3)::date;
  END IF;
  IF p_taken = 0 THEN RETURN parts; END IF;
  WITH shares AS (
    SELECT q.id, q.n, least(q.missing, p_taken - q.before) AS part
    FROM (
      SELECT d.id, d.n, d.missing, (sum(d.missing) OVER (ORDER BY d.n) - d.missing)::bigint AS before
      FROM unnest(p_due, p_missing) WITH ORDINALITY AS d (id, missing, n)
    ) q
    WHERE q.before < p_taken
  ), noted AS (
    UPDATE reward_reversals r SET withheld = r.withheld + s.part FROM shares s WHERE r.payment_id = s.id RETURNING s.id, s.part, s.n
  )
  SELECT jsonb_agg(jsonb_build_object('id', id, 'part', part::text) ORDER BY n) INTO parts FROM noted;
  UPDATE reward_payments SET withheld = p_taken WHERE id = p_id;
  RETURN parts;
END $$;
