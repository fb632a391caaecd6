-- One row per relayed call. Partitioned by the UTC day on which the call began, so that old days can be detached whole.
-- No foreign keys: a check per row on the hottest insert buys nothing, and a record outlives the user it is about.
CREATE TABLE usage_events (
  id uuid NOT NULL,                        -- the call; also the id of its hold and of its charge
  created_at timestamptz NOT NULL,         -- when the call began
  request_id text NOT NULL,                -- the trace id its caller was told
  shard integer NOT NULL,
  user_id uuid NOT NULL,
  team_id uuid,
  wallet_id bigint NOT NULL,
  key_id uuid,
  model text NOT NULL,
  provider_id uuid,
  provider_name text,
  upstream_request_id text,
  route text NOT NULL,
  stream boolean NOT NULL,
  price_version_id bigint,
  input_tokens bigint NOT NULL CHECK (input_tokens >= 0),
  cached_input_tokens bigint NOT NULL CHECK (cached_input_tokens >= 0),
  cache_write_tokens bigint NOT NULL CHECK (cache_write_tokens >= 0),
  output_tokens bigint NOT NULL CHECK (output_tokens >= 0),
  reasoning_tokens bigint NOT NULL CHECK (reasoning_tokens >= 0),
  units jsonb,                             -- what is priced per one: images, seconds, characters
  estimated boolean NOT NULL,
  status text NOT NULL CHECK (status IN ('ok', 'failed', 'client_gone')),
  http_status integer NOT NULL,
  error_class text,
  error_code text,
  retry_count integer NOT NULL,
  first_chunk_ms integer,
  duration_ms integer NOT NULL,
  client_ip text,
  billable boolean NOT NULL,
  cost bigint CHECK (cost >= 0),           -- micro-credits charged; null until settled
  uncharged bigint CHECK (uncharged >= 0), -- micro-credits the call was worth beyond what could be charged
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  settled_at timestamptz,
  set_aside_at timestamptz,                -- could not be settled; waits for an operator, see incidents
  PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);

CREATE INDEX usage_events_pending ON usage_events (shard, created_at) WHERE billable AND settled_at IS NULL AND set_aside_at IS NULL;
CREATE INDEX usage_events_user ON usage_events (user_id, created_at);
CREATE INDEX usage_events_age ON usage_events (created_at);

-- A recorded call stays as it was recorded. Settlement writes its result once, and only what the ledger settled. On the parent,
-- and so on every partition, also while session_replication_role = replica; a partition can still be detached or dropped whole.
CREATE FUNCTION usage_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of usage_events is refused: a call stays as it was recorded', TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER usage_events_keep BEFORE DELETE ON usage_events FOR EACH ROW EXECUTE FUNCTION usage_refuse();
CREATE TRIGGER usage_events_no_truncate BEFORE TRUNCATE ON usage_events FOR EACH STATEMENT EXECUTE FUNCTION usage_refuse();
-- All columns but shard, cost, uncharged, settled_at and set_aside_at; those too, once settled.
CREATE TRIGGER usage_events_fixed BEFORE UPDATE ON usage_events FOR EACH ROW
  WHEN (OLD.settled_at IS NOT NULL OR
      (OLD.id, OLD.created_at, OLD.request_id, OLD.user_id, OLD.team_id, OLD.wallet_id, OLD.key_id, OLD.model,
       OLD.provider_id, OLD.provider_name, OLD.upstream_request_id, OLD.route, OLD.stream, OLD.price_version_id,
       OLD.input_tokens, OLD.cached_input_tokens, OLD.cache_write_tokens, OLD.output_tokens, OLD.reasoning_tokens, OLD.units,
       OLD.estimated, OLD.status, OLD.http_status, OLD.error_class, OLD.error_code, OLD.retry_count, OLD.first_chunk_ms,
       OLD.duration_ms, OLD.client_ip, OLD.billable, OLD.recorded_at)
      IS DISTINCT FROM
      (NEW.id, NEW.created_at, NEW.request_id, NEW.user_id, NEW.team_id, NEW.wallet_id, NEW.key_id, NEW.model,
       NEW.provider_id, NEW.provider_name, NEW.upstream_request_id, NEW.route, NEW.stream, NEW.price_version_id,
       NEW.input_tokens, NEW.cached_input_tokens, NEW.cache_write_tokens, NEW.output_tokens, NEW.reasoning_tokens, NEW.units,
       NEW.estimated, NEW.status, NEW.http_status, NEW.error_class, NEW.error_code, NEW.retry_count, NEW.first_chunk_ms,
       NEW.duration_ms, NEW.client_ip, NEW.billable, NEW.recorded_at))
  EXECUTE FUNCTION usage_refuse();

CREATE FUNCTION usage_check_settled() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.settled_at IS NOT NULL AND EXISTS (
    SELECT FROM ledger_settlements s
    WHERE s.id = NEW.id::text AND (s.wallet_id, s.charged, s.cost) = (NEW.wallet_id, NEW.cost, NEW.cost + NEW.uncharged)
  ) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'UPDATE of usage_events is refused: the ledger has not settled the call so' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER usage_events_settled BEFORE UPDATE ON usage_events FOR EACH ROW
  WHEN ((OLD.cost, OLD.uncharged, OLD.settled_at) IS DISTINCT FROM (NEW.cost, NEW.uncharged, NEW.settled_at))
  EXECUTE FUNCTION usage_check_settled();
ALTER TABLE usage_events ENABLE ALWAYS TRIGGER usage_events_keep, ENABLE ALWAYS TRIGGER usage_events_no_truncate,
  ENABLE ALWAYS TRIGGER usage_events_fixed, ENABLE ALWAYS TRIGGER usage_events_settled;

-- The net for a day whose partition was not made ahead; the sweep moves its rows out.
CREATE TABLE usage_events_default PARTITION OF usage_events DEFAULT;
CREATE TRIGGER usage_events_no_truncate BEFORE TRUNCATE ON usage_events_default FOR EACH STATEMENT EXECUTE FUNCTION usage_refuse();
ALTER TABLE usage_events_default ENABLE ALWAYS TRIGGER usage_events_no_truncate;

-- Makes the partition of one UTC day, taking along rows of that day that fell into the net. Returns false when it is there already.
-- Attached rather than created in place, so that running inserts and reads of other days are not locked out.
CREATE FUNCTION usage_make_partition(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  name text := 'usage_events_p' || to_char(day, 'YYYYMMDD');
  lower timestamptz := day::timestamp AT TIME ZONE 'UTC';
  upper timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
  PERFORM pg_advisory_xact_lock(7266004);
  IF to_regclass(name) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE usage_events INCLUDING ALL) WITH (autovacuum_vacuum_scale_factor = 0.05)', name);
  EXECUTE format('ALTER TABLE %I ADD CHECK (created_at >= %L AND created_at < %L)', name, lower, upper);
  -- TRUNCATE is the one guard that partitions do not get from their parent.
  EXECUTE format('CREATE TRIGGER usage_events_no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION usage_refuse()', name);
  EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER usage_events_no_truncate', name);
  IF EXISTS (SELECT FROM usage_events_default WHERE created_at >= lower AND created_at < upper) THEN
    -- Nothing is deleted from a partition: the net is taken down while its rows move. This is rare, and the only time all wait.
    LOCK TABLE usage_events IN ACCESS EXCLUSIVE MODE;
    ALTER TABLE usage_events DETACH PARTITION usage_events_default;
    EXECUTE format(
      'WITH moved AS (DELETE FROM usage_events_default WHERE created_at >= %L AND created_at < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
      lower, upper, name);
    ALTER TABLE usage_events ATTACH PARTITION usage_events_default DEFAULT;
  ELSE
    LOCK TABLE usage_events_default IN ACCESS EXCLUSIVE MODE;
  END IF;
  EXECUTE format('ALTER TABLE usage_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, lower, upper);
  RETURN true;
END $$;

-- Makes today's partition, those of `days_ahead` days, and those of days found in the net (at most 10 at a time). Returns how many were made.
CREATE FUNCTION usage_make_partitions(days_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  today date := (now() AT TIME ZONE 'UTC')::date;
  made integer := 0;
  day date;
BEGIN
  FOR day IN
    SELECT today + ahead FROM generate_series(0, days_ahead) AS ahead
    UNION
    (SELECT DISTINCT (created_at AT TIME ZONE 'UTC')::date FROM usage_events_default LIMIT 10)
    ORDER BY 1
  LOOP
    IF usage_make_partition(day) THEN made := made + 1; END IF;
  END LOOP;
  RETURN made;
END $$;

SELECT usage_make_partitions(3);

-- What was used per hour, user, key and model: the source of statistics and of a key's usage.
CREATE TABLE usage_hourly (
  hour timestamptz NOT NULL,
  user_id uuid NOT NULL,
  key_id uuid,
  model text NOT NULL,
  requests bigint NOT NULL DEFAULT 0,
  failed bigint NOT NULL DEFAULT 0,
  input_tokens bigint NOT NULL DEFAULT 0,
  cached_input_tokens bigint NOT NULL DEFAULT 0,
  cache_write_tokens bigint NOT NULL DEFAULT 0,
  output_tokens bigint NOT NULL DEFAULT 0,
  reasoning_tokens bigint NOT NULL DEFAULT 0,
  cost bigint NOT NULL DEFAULT 0,
  uncharged bigint NOT NULL DEFAULT 0,
  duration_ms bigint NOT NULL DEFAULT 0,
  UNIQUE NULLS NOT DISTINCT (user_id, hour, key_id, model)
);
CREATE INDEX usage_hourly_key ON usage_hourly (key_id, hour);

-- One row per shard. While `draining_until` lies ahead a worker is settling the shard and nobody needs to wake it.
CREATE TABLE settlement_shards (
  shard integer PRIMARY KEY,
  draining_until timestamptz NOT NULL DEFAULT '-infinity'
);

-- What must not happen and did: kept for operators, once per kind and subject.
CREATE TABLE incidents (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  kind text NOT NULL,
  subject text NOT NULL,
  user_id uuid,
  wallet_id bigint,
  details jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  resolved_at timestamptz,
  UNIQUE (kind, subject)
);
CREATE INDEX incidents_age ON incidents (created_at);

-- The rows of a batch of events, from the relay's JSON.
CREATE FUNCTION usage_event_rows(events jsonb, is_billable boolean) RETURNS SETOF usage_events LANGUAGE sql STABLE AS $$
  SELECT e.id, e.created_at, e.request_id, e.shard, e.user_id, e.team_id, e.wallet_id, e.key_id, e.model, e.provider_id, e.provider_name,
    e.upstream_request_id, e.route, e.stream, e.price_version_id, e.input_tokens, e.cached_input_tokens, e.cache_write_tokens,
    e.output_tokens, e.reasoning_tokens, e.units, e.estimated, e.status, e.http_status, e.error_class, e.error_code, e.retry_count,
    e.first_chunk_ms, e.duration_ms, e.client_ip, is_billable,
    CASE WHEN is_billable THEN NULL ELSE 0 END::bigint, CASE WHEN is_billable THEN NULL ELSE 0 END::bigint,
    clock_timestamp(), CASE WHEN is_billable THEN NULL ELSE clock_timestamp() END, NULL::timestamptz
  FROM jsonb_to_recordset(events) AS e(id uuid, created_at timestamptz, request_id text, shard integer, user_id uuid, team_id uuid,
    wallet_id bigint, key_id uuid, model text, provider_id uuid, provider_name text, upstream_request_id text, route text, stream boolean,
    price_version_id bigint, input_tokens bigint, cached_input_tokens bigint, cache_write_tokens bigint, output_tokens bigint,
    reasoning_tokens bigint, units jsonb, estimated boolean, status text, http_status integer, error_class text, error_code text, retry_count integer,
    first_chunk_ms integer, duration_ms integer, client_ip text)
$$;

-- Records calls that are to be charged and pins their holds, so that no sweep takes a hold whose event waits for settlement.
-- The same id again changes nothing. Returns those of `event_shards` that nobody is draining right now.
CREATE FUNCTION usage_record(events jsonb, hold_ids uuid[], event_shards integer[]) RETURNS integer[] LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_events SELECT * FROM usage_event_rows(events, true) ON CONFLICT (id, created_at) DO NOTHING;
  PERFORM ledger_pin_holds(hold_ids);
  RETURN ARRAY(
    SELECT s FROM unnest(event_shards) AS s
    WHERE NOT EXISTS (SELECT 1 FROM settlement_shards d WHERE d.shard = s AND d.draining_until > clock_timestamp()));
END $$;

-- Adds events to the hourly roll-ups. Rows are locked in one order by everybody, so that writers wait but never deadlock.
CREATE FUNCTION usage_roll_up(added usage_events[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO usage_hourly AS h (hour, user_id, key_id, model, requests, failed, input_tokens, cached_input_tokens, cache_write_tokens,
    output_tokens, reasoning_tokens, cost, uncharged, duration_ms)
  SELECT date_trunc('hour', a.created_at, 'UTC') AS hour, a.user_id, a.key_id, a.model, count(*), count(*) FILTER (WHERE a.status = 'failed'),
    sum(a.input_tokens), sum(a.cached_input_tokens), sum(a.cache_write_tokens), sum(a.output_tokens), sum(a.reasoning_tokens),
    sum(a.cost), sum(a.uncharged), sum(a.duration_ms)
  FROM unnest(added) AS a
  GROUP BY 1, 2, 3, 4
  ORDER BY 2, 1, 3, 4
  ON CONFLICT (user_id, hour, key_id, model) DO UPDATE SET
    requests = h.requests + excluded.requests,
    failed = h.failed + excluded.failed,
    input_tokens = h.input_tokens + excluded.input_tokens,
    cached_input_tokens = h.cached_input_tokens + excluded.cached_input_tokens,
    cache_write_tokens = h.cache_write_tokens + excluded.cache_write_tokens,
    output_tokens = h.output_tokens + excluded.output_tokens,
    reasoning_tokens = h.reasoning_tokens + excluded.reasoning_tokens,
    cost = h.cost + excluded.cost,
    uncharged = h.uncharged + excluded.uncharged,
    duration_ms = h.duration_ms + excluded.duration_ms
$$;

-- Records calls that cost nothing; they are settled as they are written.
CREATE FUNCTION usage_record_free(events jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  added usage_events[];
BEGIN
  WITH inserted AS (
    INSERT INTO usage_events SELECT * FROM usage_event_rows(events, false) ON CONFLICT (id, created_at) DO NOTHING RETURNING usage_events
  )
  SELECT array_agg(i.usage_events) INTO added FROM inserted i;
  IF added IS NOT NULL THEN PERFORM usage_roll_up(added); END IF;
END $$;

-- Writes what settlement charged and adds it to the roll-ups, once per event. Returns how many were written.
-- The bounds of created_at let the planner leave out all other days.
CREATE FUNCTION usage_settled(ids uuid[], times timestamptz[], costs bigint[], rests bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  first timestamptz := (SELECT min(t) FROM unnest(times) AS t);
  last timestamptz := (SELECT max(t) FROM unnest(times) AS t);
  settled usage_events[];
BEGIN
  WITH results AS (
    SELECT * FROM unnest(ids, times, costs, rests) AS r(id, created_at, cost, rest)
  ), updated AS (
    UPDATE usage_events u SET cost = r.cost, uncharged = r.rest, settled_at = clock_timestamp()
    FROM results r
    WHERE u.id = r.id AND u.created_at = r.created_at AND u.created_at BETWEEN first AND last AND u.settled_at IS NULL
    RETURNING u
  )
  SELECT array_agg(updated.u) INTO settled FROM updated;
  IF settled IS NULL THEN RETURN 0; END IF;
  PERFORM usage_roll_up(settled);
  RETURN cardinality(settled);
END $$;
