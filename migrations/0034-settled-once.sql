-- The rows of a batch of events, from JSON. What is charged for was not settled yet, unless its `cost` is there.
CREATE OR REPLACE FUNCTION usage_event_rows(events jsonb, is_billable boolean) RETURNS SETOF usage_events LANGUAGE sql STABLE AS $$
  SELECT e.id, e.created_at, e.request_id, e.shard, e.user_id, e.team_id, e.wallet_id, e.key_id, e.model, e.provider_id, e.provider_name,
    e.upstream_request_id, e.route, e.stream, e.price_version_id, e.input_tokens, e.cached_input_tokens, e.cache_write_tokens,
    e.output_tokens, e.reasoning_tokens, e.units, e.estimated, e.status, e.http_status, e.error_class, e.error_code, e.retry_count,
    e.first_chunk_ms, e.duration_ms, e.client_ip, is_billable,
    CASE WHEN is_billable THEN e.cost ELSE 0 END, CASE WHEN is_billable THEN e.uncharged ELSE 0 END,
    clock_timestamp(), CASE WHEN is_billable AND e.cost IS NULL THEN NULL ELSE clock_timestamp() END, NULL::timestamptz,
    coalesce(e.cache_write_long_tokens, 0), e.estimated_input_tokens, coalesce(e.price_multiplier, 1000000), e.token_id, e.cache,
    e.attempts, e.upstream_cost, e.upstream_currency
  FROM jsonb_to_recordset(events) AS e(id uuid, created_at timestamptz, request_id text, shard integer, user_id uuid, team_id uuid,
    wallet_id bigint, key_id uuid, model text, provider_id uuid, provider_name text, upstream_request_id text, route text, stream boolean,
    price_version_id bigint, input_tokens bigint, cached_input_tokens bigint, cache_write_tokens bigint, cache_write_long_tokens bigint,
    output_tokens bigint, reasoning_tokens bigint, units jsonb, estimated boolean, status text, http_status integer, error_class text,
    error_code text, retry_count integer, first_chunk_ms integer, duration_ms integer, client_ip text, estimated_input_tokens integer,
    price_multiplier integer, token_id uuid, cache text, attempts jsonb, upstream_cost bigint, upstream_currency text, cost bigint,
    uncharged bigint)
$$;

-- Writes what settlement charged, and records events that were settled before they were written (`fresh`, with `cost` and `uncharged`); all
-- are added to the roll-ups at once, so that everybody locks those in one order. Once per event. Returns how many were written. Only the days
-- that the events are of are looked into.
DROP FUNCTION usage_settled;
CREATE FUNCTION usage_settled(ids uuid[], times timestamptz[], costs bigint[], rests bigint[], fresh jsonb DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  settled usage_events[] := '{}';
  part usage_events[];
  low timestamptz;
  high timestamptz;
BEGIN
  FOR low, high IN SELECT min(t), max(t) FROM unnest(times) AS t GROUP BY (t AT TIME ZONE 'UTC')::date ORDER BY 1 LOOP
    WITH results AS (
      SELECT * FROM unnest(ids, times, costs, rests) AS r(id, created_at, cost, rest) WHERE r.created_at BETWEEN low AND high
    ), updated AS (
      UPDATE usage_events u SET cost = r.cost, uncharged = r.rest, settled_at = clock_timestamp()
      FROM results r
      WHERE u.id = r.id AND u.created_at = r.created_at AND u.created_at BETWEEN low AND high AND u.settled_at IS NULL
      RETURNING u
    )
    SELECT array_agg(updated.u) INTO part FROM updated;
    settled := settled || part;
  END LOOP;
  IF fresh IS NOT NULL THEN
    WITH inserted AS (
      INSERT INTO usage_events SELECT * FROM usage_event_rows(fresh, true) RETURNING usage_events
    )
    SELECT array_agg(i.usage_events) INTO part FROM inserted i;
    settled := settled || part;
  END IF;
  IF cardinality(settled) = 0 THEN RETURN 0; END IF;
  PERFORM usage_roll_up(settled);
  RETURN cardinality(settled);
END $$;

-- As before. The parts of a run that waits to be charged have keys of their own, which are kept as well.
CREATE OR REPLACE FUNCTION usage_forget_messages(before timestamptz, most integer) RETURNS integer LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  waiting uuid[] := ARRAY(
    WITH RECURSIVE open AS (
      SELECT message_id, dify_message_key(message_id) AS key FROM dify_events WHERE state = 'open' AND charged_at IS NULL
      UNION
      SELECT o.message_id, dify_message_key(o.message_id || '#' || m.paused_at)
      FROM open o JOIN usage_messages m ON m.message_key = o.key WHERE m.paused_at IS NOT NULL
    )
    SELECT key FROM open);
  gone integer;
BEGIN
  DELETE FROM usage_messages WHERE message_key = ANY (ARRAY(
    SELECT message_key FROM usage_messages WHERE recorded_at < before AND message_key <> ALL (waiting)
    ORDER BY recorded_at LIMIT most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;
