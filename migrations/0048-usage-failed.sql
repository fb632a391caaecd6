-- The hourly sums keep the tokens of failed calls out that are not charged: nobody used them, and an average over the calls that succeeded
-- was too large by them.
CREATE OR REPLACE FUNCTION usage_roll_up(added usage_events[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_hourly AS h (hour, user_id, key_id, model, requests, failed, input_tokens, cached_input_tokens, cache_write_tokens,
    cache_write_long_tokens, output_tokens, reasoning_tokens, cost, uncharged, duration_ms)
  SELECT date_trunc('hour', a.created_at, 'UTC') AS hour, a.user_id, a.key_id, a.model, count(*), count(*) FILTER (WHERE a.status = 'failed'),
    sum(a.input_tokens * a.used), sum(a.cached_input_tokens * a.used), sum(a.cache_write_tokens * a.used),
    sum(a.cache_write_long_tokens * a.used), sum(a.output_tokens * a.used), sum(a.reasoning_tokens * a.used),
    sum(a.cost), sum(a.uncharged), sum(a.duration_ms)
  FROM (SELECT *, (billable OR status <> 'failed')::integer AS used FROM unnest(added)) AS a
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

UPDATE usage_hourly h SET
  input_tokens = greatest(0, h.input_tokens - f.input),
  cached_input_tokens = greatest(0, h.cached_input_tokens - f.cached),
  cache_write_tokens = greatest(0, h.cache_write_tokens - f.write),
  cache_write_long_tokens = greatest(0, h.cache_write_long_tokens - f.long),
  output_tokens = greatest(0, h.output_tokens - f.output),
  reasoning_tokens = greatest(0, h.reasoning_tokens - f.reasoning)
FROM (
  SELECT date_trunc('hour', created_at, 'UTC') AS hour, user_id, key_id, model, sum(input_tokens) AS input, sum(cached_input_tokens) AS cached,
    sum(cache_write_tokens) AS write, sum(cache_write_long_tokens) AS long, sum(output_tokens) AS output, sum(reasoning_tokens) AS reasoning
  FROM usage_events
  WHERE NOT billable AND status = 'failed' AND error_code IS DISTINCT FROM 'charged_before' AND settled_at IS NOT NULL
  GROUP BY 1, 2, 3, 4
) AS f
WHERE (h.user_id, h.hour, h.model) = (f.user_id, f.hour, f.model) AND h.key_id IS NOT DISTINCT FROM f.key_id;
