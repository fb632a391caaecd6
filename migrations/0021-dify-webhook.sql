-- What Dify's webhook reports: each message once, with what it was charged or why it could not be charged yet.

-- Who an `user_id` of Dify is, where it is not the id of an account here.
CREATE TABLE dify_users (
  external_id text PRIMARY KEY CHECK (char_length(external_id) BETWEEN 1 AND 200),
  user_id uuid NOT NULL,
  note text,
  author_id uuid,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dify_users_user ON dify_users (user_id);

-- A reported message. Open: waits for an operator, or for credit that pays what is owed. Dismissed: an operator said that it is not to be charged.
CREATE TABLE dify_events (
  id uuid PRIMARY KEY,               -- also the id of its usage event, where the webhook was first
  message_id text NOT NULL,
  request_id text NOT NULL,
  conversation_id text NOT NULL,
  external_user text NOT NULL,
  model_name text NOT NULL,          -- as reported
  input_tokens bigint NOT NULL CHECK (input_tokens >= 0),
  output_tokens bigint NOT NULL CHECK (output_tokens >= 0),
  total_tokens bigint NOT NULL CHECK (total_tokens >= 0), -- as reported; the parts count
  happened_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  deliveries integer NOT NULL,       -- how often it came
  last_delivery_at timestamptz NOT NULL,
  state text NOT NULL CHECK (state IN ('open', 'charged', 'dismissed')),
  reason text CHECK (reason IN ('user_not_found', 'model_not_found', 'model_not_priced', 'cost_out_of_range', 'insufficient_balance', 'relay_waits')),
  user_id uuid,
  wallet_id bigint,
  model text,                        -- its name here
  price_version_id bigint,
  price_multiplier integer,
  event_id uuid,                     -- the usage event that was charged: its own, or the relay's
  event_at timestamptz,
  relayed boolean NOT NULL,
  cost bigint CHECK (cost >= 0),     -- micro-credits, with what is owed
  owed bigint CHECK (owed BETWEEN 0 AND cost),
  balance_after bigint,
  charged_at timestamptz,
  processing_ms integer NOT NULL,    -- from the first byte to the answer
  status integer NOT NULL,           -- what it was answered, to the byte, and any repeat of it
  answer text NOT NULL,
  resolved_at timestamptz,
  resolved_by uuid,
  note text,
  CHECK (state <> 'open' OR reason IS NOT NULL),
  CHECK ((charged_at IS NULL) = (cost IS NULL))
) WITH (fillfactor = 90);
CREATE INDEX dify_events_open ON dify_events (reason, id) WHERE state = 'open';
CREATE INDEX dify_events_user ON dify_events (user_id, id);
CREATE INDEX dify_events_external_user ON dify_events (external_user, id);
CREATE INDEX dify_events_message ON dify_events (message_id);
CREATE INDEX dify_events_request ON dify_events (request_id);

-- Who came first with a message or a request id: what makes a repeat a repeat, also of two at the same instant.
CREATE TABLE dify_keys (
  key uuid PRIMARY KEY,
  event_id uuid NOT NULL
);

CREATE FUNCTION dify_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused: what was reported stays', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER dify_events_keep BEFORE DELETE OR TRUNCATE ON dify_events FOR EACH STATEMENT EXECUTE FUNCTION dify_refuse();
CREATE TRIGGER dify_events_fixed BEFORE UPDATE ON dify_events FOR EACH ROW
  WHEN ((OLD.id, OLD.message_id, OLD.request_id, OLD.conversation_id, OLD.external_user, OLD.model_name, OLD.input_tokens,
      OLD.output_tokens, OLD.total_tokens, OLD.happened_at, OLD.received_at)
    IS DISTINCT FROM (NEW.id, NEW.message_id, NEW.request_id, NEW.conversation_id, NEW.external_user, NEW.model_name, NEW.input_tokens,
      NEW.output_tokens, NEW.total_tokens, NEW.happened_at, NEW.received_at)
    OR (OLD.charged_at IS NOT NULL AND (OLD.event_id, OLD.cost, OLD.owed, OLD.charged_at, OLD.answer)
      IS DISTINCT FROM (NEW.event_id, NEW.cost, NEW.owed, NEW.charged_at, NEW.answer)))
  EXECUTE FUNCTION dify_refuse();
ALTER TABLE dify_events ENABLE ALWAYS TRIGGER dify_events_keep, ENABLE ALWAYS TRIGGER dify_events_fixed;

-- Takes deliveries: claims their keys, waiting for whoever is just claiming one of them, and answers which of them (n, from 1) came before
-- as what; those are counted. `times` is how often each came at once.
CREATE FUNCTION dify_take(ids uuid[], messages uuid[], requests uuid[], times integer[]) RETURNS TABLE (n bigint, first dify_events)
LANGUAGE plpgsql
  -- By key always: a connection keeps the plans it made while the tables were small.
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  known uuid[];
BEGIN
  INSERT INTO dify_keys (key, event_id)
    SELECT k.key, k.id FROM (SELECT unnest(messages) AS key, unnest(ids) AS id UNION ALL SELECT unnest(requests), unnest(ids)) k
    ORDER BY k.key ON CONFLICT (key) DO NOTHING;
  SELECT array_agg(CASE WHEN m.event_id <> q.id THEN m.event_id WHEN r.event_id <> q.id THEN r.event_id END ORDER BY q.n) INTO known
    FROM unnest(ids, messages, requests) WITH ORDINALITY AS q (id, message, request, n)
    JOIN dify_keys m ON m.key = q.message JOIN dify_keys r ON r.key = q.request;
  IF array_remove(known, NULL) = '{}' THEN RETURN; END IF;
  -- A new request id of a known message is one more name of it. A new message under a known request id is not: it may come rightly yet.
  UPDATE dify_keys k SET event_id = q.first FROM unnest(ids, requests, known) AS q (id, request, first)
    WHERE q.first IS NOT NULL AND k.key = q.request AND k.event_id = q.id;
  DELETE FROM dify_keys k USING unnest(ids, messages, known) AS q (id, message, first)
    WHERE q.first IS NOT NULL AND k.key = q.message AND k.event_id = q.id;
  PERFORM FROM dify_events e WHERE e.id = ANY (known) ORDER BY e.id FOR UPDATE;
  UPDATE dify_events e SET deliveries = e.deliveries + q.times, last_delivery_at = clock_timestamp()
    FROM (SELECT c.first, sum(c.times)::integer AS times FROM unnest(known, times) AS c (first, times) WHERE c.first IS NOT NULL GROUP BY c.first) q
    WHERE e.id = q.first;
  RETURN QUERY SELECT q.n, e FROM unnest(known) WITH ORDINALITY AS q (first, n) JOIN dify_events e ON e.id = q.first;
END $$;

ALTER FUNCTION usage_claim_messages SET enable_seqscan = off;
ALTER FUNCTION usage_claim_messages SET enable_hashjoin = off;
ALTER FUNCTION usage_claim_messages SET enable_mergejoin = off;

-- Keeps what became of deliveries: new ones whole, of those that were open the outcome.
CREATE FUNCTION dify_store(rows jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO dify_events AS e SELECT * FROM jsonb_populate_recordset(NULL::dify_events, rows)
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, reason = excluded.reason, user_id = excluded.user_id, wallet_id = excluded.wallet_id,
      model = excluded.model, price_version_id = excluded.price_version_id, price_multiplier = excluded.price_multiplier,
      event_id = excluded.event_id, event_at = excluded.event_at, relayed = excluded.relayed, cost = excluded.cost, owed = excluded.owed,
      balance_after = excluded.balance_after, charged_at = excluded.charged_at, status = excluded.status, answer = excluded.answer,
      resolved_at = excluded.resolved_at;
END $$;
-- The same as before as a function whose plans a connection keeps: an SQL function is planned anew at every call, which took longer than
-- what a small batch has to add.
CREATE OR REPLACE FUNCTION usage_roll_up(added usage_events[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
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
    cost = h.cost + excluded.cost;
END $$;


-- Deliveries that were refused. The same bytes again are counted, not stored again.
CREATE TABLE dify_refusals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  reason text NOT NULL,
  status integer NOT NULL,
  authenticated boolean NOT NULL,    -- key and signature were right
  hash text NOT NULL,
  body bytea NOT NULL,               -- its beginning
  body_bytes bigint NOT NULL,
  headers jsonb NOT NULL,            -- secrets masked
  client_ip text,
  message text NOT NULL,
  times bigint NOT NULL DEFAULT 1,
  first_at timestamptz NOT NULL DEFAULT now(),
  last_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (reason, hash)
);
CREATE INDEX dify_refusals_age ON dify_refusals (last_at);

-- Keeps refusals few: those that last came long ago go, and beyond a number the oldest.
CREATE FUNCTION dify_forget_refusals(days integer, authentic integer, strange integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  gone bigint;
BEGIN
  DELETE FROM dify_refusals r WHERE r.last_at < now() - make_interval(days => days)
    OR r.id <= (SELECT id FROM dify_refusals WHERE authenticated ORDER BY id DESC OFFSET authentic LIMIT 1) AND r.authenticated
    OR r.id <= (SELECT id FROM dify_refusals WHERE NOT authenticated ORDER BY id DESC OFFSET strange LIMIT 1) AND NOT r.authenticated;
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;

-- One row per deduction, under the name that older reports look for.
CREATE VIEW token_usage AS
  SELECT 'cons_' || replace(event_id::text, '-', '') AS consumption_id, user_id, external_user, conversation_id, message_id, request_id,
    coalesce(model, model_name) AS model_name, input_tokens, output_tokens, input_tokens + output_tokens AS total_tokens, price_version_id,
    price_multiplier, cost AS points_micro, owed AS owed_micro, balance_after AS balance_after_micro, happened_at, charged_at, processing_ms, relayed
  FROM dify_events WHERE charged_at IS NOT NULL;
