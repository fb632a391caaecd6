-- What of Dify's webhook was refused too late, cannot be charged, or comes a second time.

-- One message is one request, however often it is reported: a call whose message was charged before counts in no sum. What its attempts
-- cost at the provider counts, for that was spent.
CREATE OR REPLACE FUNCTION usage_roll_up(added usage_events[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_hourly AS h (hour, user_id, key_id, model, requests, failed, input_tokens, cached_input_tokens, cache_write_tokens,
    cache_write_long_tokens, output_tokens, reasoning_tokens, cost, uncharged, duration_ms)
  SELECT date_trunc('hour', a.created_at, 'UTC') AS hour, a.user_id, a.key_id, a.model, count(*), count(*) FILTER (WHERE a.status = 'failed'),
    sum(a.input_tokens), sum(a.cached_input_tokens), sum(a.cache_write_tokens), sum(a.cache_write_long_tokens), sum(a.output_tokens),
    sum(a.reasoning_tokens), sum(a.cost), sum(a.uncharged), sum(a.duration_ms)
  FROM unnest(added) AS a
  WHERE a.error_code IS DISTINCT FROM 'charged_before'
  GROUP BY 1, 2, 3, 4
  ORDER BY 2, 1, 3, 4
  ON CONFLICT (user_id, hour, key_id, model) DO UPDATE SET
    requests = h.requests + excluded.requests,
    failed = h.failed + excluded.failed,
    input_tokens = h.input_tokens + excluded.input_tokens,
    cached_input_tokens = h.cached_input_tokens + excluded.cached_input_tokens,
    cache_write_tokens = h.cache_write_tokens + excluded.cache_write_tokens,
    cache_write_long_tokens = h.cache_write_long_tokens + excluded.cache_write_long_tokens,
    output_tokens = h.output_tokens + excluded.output_tokens,
    reasoning_tokens = h.reasoning_tokens + excluded.reasoning_tokens,
    cost = h.cost + excluded.cost,
    uncharged = h.uncharged + excluded.uncharged,
    duration_ms = h.duration_ms + excluded.duration_ms;

  INSERT INTO usage_upstream_hourly AS h (hour, model, provider_id, provider_name, currency, requests, sale, uncharged, attempts,
    failed_attempts, cost)
  SELECT date_trunc('hour', l.created_at, 'UTC') AS hour, l.model, l.provider_id, max(l.provider_name), l.currency, sum(l.requests),
    sum(l.sale), sum(l.uncharged), sum(l.attempts), sum(l.failed_attempts), sum(l.cost)
  FROM (
    SELECT a.created_at, a.model, a.provider_id, a.provider_name, a.attempts -> -1 ->> 'currency' AS currency, 1 AS requests,
      a.cost AS sale, a.uncharged, 0 AS attempts, 0 AS failed_attempts, 0 AS cost
    FROM unnest(added) AS a
    WHERE a.error_code IS DISTINCT FROM 'charged_before'
    UNION ALL
    SELECT a.created_at, a.model, t.provider_id, t.provider, t.currency, 0, 0, 0, 1, (t.status = 'failed')::integer, coalesce(t.cost, 0)
    FROM unnest(added) AS a
    CROSS JOIN jsonb_to_recordset(a.attempts) AS t(provider_id uuid, provider text, currency text, status text, cost bigint)
  ) AS l
  GROUP BY 1, 2, 3, 5
  ORDER BY 1, 2, 3, 5
  ON CONFLICT (hour, model, provider_id, currency) DO UPDATE SET
    provider_name = coalesce(excluded.provider_name, h.provider_name),
    requests = h.requests + excluded.requests,
    sale = h.sale + excluded.sale,
    uncharged = h.uncharged + excluded.uncharged,
    attempts = h.attempts + excluded.attempts,
    failed_attempts = h.failed_attempts + excluded.failed_attempts,
    cost = h.cost + excluded.cost;
END $$;

-- A message that cannot be charged although everybody and everything it names is known is put aside, so that others are not held up by it.
ALTER TABLE dify_events DROP CONSTRAINT dify_events_reason_check, ADD CONSTRAINT dify_events_reason_check CHECK (reason IN
  ('user_not_found', 'model_not_found', 'model_not_priced', 'cost_out_of_range', 'insufficient_balance', 'relay_waits', 'settlement_refused'));

-- A delivery that was rightly signed and refused can be taken by an operator, once it is looked at. What was kept of it does not change, so
-- that nothing a stranger sent ever becomes authentic.
ALTER TABLE dify_refusals
  ADD COLUMN replayed_at timestamptz,
  ADD COLUMN replayed_by uuid,
  ADD COLUMN replay_status integer,
  ADD COLUMN replay_answer text,
  ADD CHECK (replayed_at IS NULL OR (authenticated AND replay_status IS NOT NULL AND replay_answer IS NOT NULL));
CREATE INDEX dify_refusals_replayable ON dify_refusals (id) WHERE authenticated AND replayed_at IS NULL;
CREATE TRIGGER dify_refusals_fixed BEFORE UPDATE ON dify_refusals FOR EACH ROW
  WHEN ((OLD.id, OLD.reason, OLD.status, OLD.authenticated, OLD.hash, OLD.body, OLD.body_bytes)
    IS DISTINCT FROM (NEW.id, NEW.reason, NEW.status, NEW.authenticated, NEW.hash, NEW.body, NEW.body_bytes))
  EXECUTE FUNCTION dify_refuse();
ALTER TABLE dify_refusals ENABLE ALWAYS TRIGGER dify_refusals_fixed;

-- Makes partitions of days that messages are dated back to, so that their rows do not fall into the net. Where that would make others wait
-- (somebody reads the net, or it has rows of the day) the day is left to the housekeeping. Returns how many were made.
CREATE FUNCTION usage_ready_days(days date[]) RETURNS integer LANGUAGE plpgsql SET lock_timeout = '250ms' AS $$
DECLARE
  made integer := 0;
  day date;
BEGIN
  FOREACH day IN ARRAY days LOOP
    CONTINUE WHEN to_regclass('usage_events_p' || to_char(day, 'YYYYMMDD')) IS NOT NULL;
    CONTINUE WHEN EXISTS (SELECT FROM usage_events_default
      WHERE created_at >= day::timestamp AT TIME ZONE 'UTC' AND created_at < (day + 1)::timestamp AT TIME ZONE 'UTC');
    BEGIN
      IF usage_make_partition(day) THEN made := made + 1; END IF;
    EXCEPTION WHEN lock_not_available THEN
      NULL;
    END;
  END LOOP;
  RETURN made;
END $$;
