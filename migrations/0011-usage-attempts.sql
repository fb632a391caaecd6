-- A call's attempts at providers one by one, what they cost there, and what else settlement and operators need to know of a call.
ALTER TABLE usage_events
  ADD COLUMN cache_write_long_tokens bigint NOT NULL DEFAULT 0 CHECK (cache_write_long_tokens >= 0), -- written to be kept for an hour
  ADD COLUMN estimated_input_tokens integer,   -- what the hold took the prompt for
  ADD COLUMN price_multiplier integer NOT NULL DEFAULT 1000000 CHECK (price_multiplier >= 0), -- in millionths, as at the call's beginning
  ADD COLUMN token_id uuid,                    -- the end-user token the call was made with
  ADD COLUMN cache text CHECK (cache = 'hit'), -- answered without a provider
  ADD COLUMN attempts jsonb CHECK (jsonb_typeof(attempts) = 'array'),
  ADD COLUMN upstream_cost bigint CHECK (upstream_cost >= 0), -- of all attempts, millionths of the currency; null: not known, or in several
  ADD COLUMN upstream_currency text;

ALTER TABLE usage_hourly ADD COLUMN cache_write_long_tokens bigint NOT NULL DEFAULT 0;

-- The same guard as before, with the new columns.
DROP TRIGGER usage_events_fixed ON usage_events;
CREATE TRIGGER usage_events_fixed BEFORE UPDATE ON usage_events FOR EACH ROW
  WHEN (OLD.settled_at IS NOT NULL OR
      (OLD.id, OLD.created_at, OLD.request_id, OLD.user_id, OLD.team_id, OLD.wallet_id, OLD.key_id, OLD.model,
       OLD.provider_id, OLD.provider_name, OLD.upstream_request_id, OLD.route, OLD.stream, OLD.price_version_id,
       OLD.input_tokens, OLD.cached_input_tokens, OLD.cache_write_tokens, OLD.cache_write_long_tokens, OLD.output_tokens,
       OLD.reasoning_tokens, OLD.units, OLD.estimated, OLD.status, OLD.http_status, OLD.error_class, OLD.error_code, OLD.retry_count,
       OLD.first_chunk_ms, OLD.duration_ms, OLD.client_ip, OLD.billable, OLD.recorded_at, OLD.estimated_input_tokens,
       OLD.price_multiplier, OLD.token_id, OLD.cache, OLD.attempts, OLD.upstream_cost, OLD.upstream_currency)
      IS DISTINCT FROM
      (NEW.id, NEW.created_at, NEW.request_id, NEW.user_id, NEW.team_id, NEW.wallet_id, NEW.key_id, NEW.model,
       NEW.provider_id, NEW.provider_name, NEW.upstream_request_id, NEW.route, NEW.stream, NEW.price_version_id,
       NEW.input_tokens, NEW.cached_input_tokens, NEW.cache_write_tokens, NEW.cache_write_long_tokens, NEW.output_tokens,
       NEW.reasoning_tokens, NEW.units, NEW.estimated, NEW.status, NEW.http_status, NEW.error_class, NEW.error_code, NEW.retry_count,
       NEW.first_chunk_ms, NEW.duration_ms, NEW.client_ip, NEW.billable, NEW.recorded_at, NEW.estimated_input_tokens,
       NEW.price_multiplier, NEW.token_id, NEW.cache, NEW.attempts, NEW.upstream_cost, NEW.upstream_currency))
  EXECUTE FUNCTION usage_refuse();
ALTER TABLE usage_events ENABLE ALWAYS TRIGGER usage_events_fixed;

-- The sale side of the same: writing to a cache for an hour, and searches that a provider makes for the answer.
ALTER TABLE price_versions
  ADD COLUMN cache_write_1h_price bigint CHECK (cache_write_1h_price BETWEEN 0 AND 100000000000), -- null: as cache_write_price
  ADD COLUMN web_search_price bigint NOT NULL DEFAULT 0 CHECK (web_search_price BETWEEN 0 AND 100000000000);

-- What a provider's model costs us beside input and output: per 1000 tokens or per one, as in price_versions. Null: as its neighbour
-- (cached input and cache writes as input, reasoning as output), or nothing. With no price at all the cost is not known.
ALTER TABLE provider_models
  ADD COLUMN cached_input_price bigint CHECK (cached_input_price >= 0),
  ADD COLUMN cache_write_price bigint CHECK (cache_write_price >= 0),
  ADD COLUMN cache_write_1h_price bigint CHECK (cache_write_1h_price >= 0),
  ADD COLUMN reasoning_price bigint CHECK (reasoning_price >= 0),
  ADD COLUMN request_price bigint CHECK (request_price >= 0),
  ADD COLUMN image_price bigint CHECK (image_price >= 0),
  ADD COLUMN second_price bigint CHECK (second_price >= 0),
  ADD COLUMN character_price bigint CHECK (character_price >= 0),
  ADD COLUMN web_search_price bigint CHECK (web_search_price >= 0);

-- Sale and cost side by side, per hour, model, provider and currency of the cost: the source of margins. A call counts with the provider
-- that answered it, an attempt with the one it went to.
CREATE TABLE usage_upstream_hourly (
  hour timestamptz NOT NULL,
  model text NOT NULL,
  provider_id uuid,
  provider_name text,
  currency text,                    -- null: the cost is not known
  requests bigint NOT NULL DEFAULT 0,
  sale bigint NOT NULL DEFAULT 0,      -- micro-credits charged
  uncharged bigint NOT NULL DEFAULT 0, -- micro-credits
  attempts bigint NOT NULL DEFAULT 0,
  failed_attempts bigint NOT NULL DEFAULT 0,
  cost bigint NOT NULL DEFAULT 0,      -- millionths of the currency
  UNIQUE NULLS NOT DISTINCT (hour, model, provider_id, currency)
);

CREATE OR REPLACE FUNCTION usage_event_rows(events jsonb, is_billable boolean) RETURNS SETOF usage_events LANGUAGE sql STABLE AS $$
  SELECT e.id, e.created_at, e.request_id, e.shard, e.user_id, e.team_id, e.wallet_id, e.key_id, e.model, e.provider_id, e.provider_name,
    e.upstream_request_id, e.route, e.stream, e.price_version_id, e.input_tokens, e.cached_input_tokens, e.cache_write_tokens,
    e.output_tokens, e.reasoning_tokens, e.units, e.estimated, e.status, e.http_status, e.error_class, e.error_code, e.retry_count,
    e.first_chunk_ms, e.duration_ms, e.client_ip, is_billable,
    CASE WHEN is_billable THEN NULL ELSE 0 END::bigint, CASE WHEN is_billable THEN NULL ELSE 0 END::bigint,
    clock_timestamp(), CASE WHEN is_billable THEN NULL ELSE clock_timestamp() END, NULL::timestamptz,
    coalesce(e.cache_write_long_tokens, 0), e.estimated_input_tokens, coalesce(e.price_multiplier, 1000000), e.token_id, e.cache,
    e.attempts, e.upstream_cost, e.upstream_currency
  FROM jsonb_to_recordset(events) AS e(id uuid, created_at timestamptz, request_id text, shard integer, user_id uuid, team_id uuid,
    wallet_id bigint, key_id uuid, model text, provider_id uuid, provider_name text, upstream_request_id text, route text, stream boolean,
    price_version_id bigint, input_tokens bigint, cached_input_tokens bigint, cache_write_tokens bigint, cache_write_long_tokens bigint,
    output_tokens bigint, reasoning_tokens bigint, units jsonb, estimated boolean, status text, http_status integer, error_class text,
    error_code text, retry_count integer, first_chunk_ms integer, duration_ms integer, client_ip text, estimated_input_tokens integer,
    price_multiplier integer, token_id uuid, cache text, attempts jsonb, upstream_cost bigint, upstream_currency text)
$$;

-- Adds events to both roll-ups. Rows are locked in one order by everybody, so that writers wait but never deadlock.
CREATE OR REPLACE FUNCTION usage_roll_up(added usage_events[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO usage_hourly AS h (hour, user_id, key_id, model, requests, failed, input_tokens, cached_input_tokens, cache_write_tokens,
    cache_write_long_tokens, output_tokens, reasoning_tokens, cost, uncharged, duration_ms)
  SELECT date_trunc('hour', a.created_at, 'UTC') AS hour, a.user_id, a.key_id, a.model, count(*), count(*) FILTER (WHERE a.status = 'failed'),
    sum(a.input_tokens), sum(a.cached_input_tokens), sum(a.cache_write_tokens), sum(a.cache_write_long_tokens), sum(a.output_tokens),
    sum(a.reasoning_tokens), sum(a.cost), sum(a.uncharged), sum(a.duration_ms)
  FROM unnest(added) AS a
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
    cost = h.cost + excluded.cost
$$;
