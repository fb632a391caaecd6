-- Holds of recorded calls are kept from the sweep when the sweep meets them, not by every record: nearly all are settled long before
-- they expire, and a record costs a third less without writing its hold again.

-- The holds a sweep would take, with their wallets locked as whoever closes holds locks them.
CREATE FUNCTION ledger_expired_holds(p_now timestamptz, p_limit integer) RETURNS uuid[] LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wallets bigint[];
  expired uuid[];
  expired_by timestamptz := p_now - interval '15 seconds';
BEGIN
  SELECT array_agg(id), array_agg(DISTINCT wallet_id) INTO expired, wallets FROM (
    SELECT id, wallet_id FROM ledger_holds WHERE state = 'held' AND expires_at <= expired_by ORDER BY expires_at LIMIT p_limit
  ) due;
  IF expired IS NULL THEN RETURN '{}'; END IF;
  PERFORM FROM ledger_accounts WHERE id = ANY (wallets) ORDER BY id FOR NO KEY UPDATE;
  PERFORM FROM ledger_holds WHERE id = ANY (expired) ORDER BY id FOR UPDATE;
  RETURN expired;
END $$;

-- Releases those of the holds that expired at least 15 s before p_now and records each as an incident. The time between is for owners
-- who could not renew because the database was away: they come back together with the sweep.
CREATE FUNCTION ledger_sweep_holds(p_ids uuid[], p_now timestamptz) RETURNS SETOF ledger_holds LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  swept ledger_holds;
BEGIN
  FOR swept IN SELECT * FROM ledger_close_holds(p_ids, 'swept', p_now - interval '15 seconds') LOOP
    INSERT INTO ledger_incidents (kind, reference, details) VALUES ('hold_swept', swept.id::text,
      jsonb_build_object('wallet', swept.wallet_id::text, 'amount', swept.amount::text, 'owner', swept.owner, 'expired_at', swept.expires_at));
    RETURN NEXT swept;
  END LOOP;
END $$;
DROP FUNCTION ledger_sweep;

-- Those of the calls that are recorded and wait to be charged.
CREATE FUNCTION usage_owing(ids uuid[]) RETURNS uuid[] LANGUAGE sql STABLE SET enable_seqscan = off
RETURN ARRAY(SELECT id FROM usage_events WHERE id = ANY (ids) AND billable AND settled_at IS NULL);

-- Records calls that are to be charged. The same id again changes nothing. Returns those of `event_shards` that nobody is draining right now.
DROP FUNCTION usage_record;
CREATE FUNCTION usage_record(events jsonb, event_shards integer[]) RETURNS integer[] LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_events SELECT * FROM usage_event_rows(events, true) ON CONFLICT (id, created_at) DO NOTHING;
  RETURN ARRAY(
    SELECT s FROM unnest(event_shards) AS s
    WHERE NOT EXISTS (SELECT 1 FROM settlement_shards d WHERE d.shard = s AND d.draining_until > clock_timestamp()));
END $$;
