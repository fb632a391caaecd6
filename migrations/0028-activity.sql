-- What happened to and by people, besides calls that were served (usage_events). Partitioned by UTC month, so that old months go away whole.
-- No foreign keys: an event outlives the user it is about.
CREATE TABLE activity_events (
  id uuid NOT NULL,
  at timestamptz NOT NULL,
  kind text NOT NULL,
  user_id uuid,
  actor_id uuid,                           -- the operator, of what operators did
  request_id text,
  ip text,
  times integer NOT NULL,                  -- failures alike within one write are one row
  facts jsonb NOT NULL,                    -- what the kind has beyond that: docs/events.md
  PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);

CREATE INDEX activity_events_user ON activity_events (user_id, at DESC);
CREATE INDEX activity_events_actor ON activity_events (actor_id, at DESC) WHERE actor_id IS NOT NULL;

-- Makes the partition of the month a day is in; false when it is there.
CREATE FUNCTION activity_make_partition(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  month date := date_trunc('month', day)::date;
  name text := 'activity_events_p' || to_char(month, 'YYYYMM');
BEGIN
  PERFORM pg_advisory_xact_lock(7266028);
  IF to_regclass(name) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE %I PARTITION OF activity_events FOR VALUES FROM (%L) TO (%L)', name,
    month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
  RETURN true;
END $$;

-- Drops the months that ended before a time; returns how many.
CREATE FUNCTION activity_drop_partitions(before timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  last text := 'activity_events_p' || to_char(before AT TIME ZONE 'UTC', 'YYYYMM');
  dropped integer := 0;
  name text;
BEGIN
  PERFORM pg_advisory_xact_lock(7266028);
  FOR name IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'activity_events'::regclass LOOP
    IF name < last THEN
      EXECUTE format('DROP TABLE %I', name);
      dropped := dropped + 1;
    END IF;
  END LOOP;
  RETURN dropped;
END $$;

SELECT activity_make_partition((now() AT TIME ZONE 'UTC')::date), activity_make_partition(((now() AT TIME ZONE 'UTC') + interval '1 month')::date);
