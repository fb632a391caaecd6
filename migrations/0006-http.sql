-- Answers of POSTs that carried an Idempotency-Key. Rows older than a day are removed by the sweep.
CREATE TABLE idempotency_keys (
  scope text NOT NULL,
  key text NOT NULL,
  body_hash text NOT NULL,
  status integer,
  answer jsonb,
  claimed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (claimed_at);

-- What operators did: append-only, each row carries the hash of the one before.
CREATE TABLE audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  actor_id uuid,
  action text NOT NULL,
  target text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}',
  trace_id text,
  created_at timestamptz NOT NULL DEFAULT now(),
  previous_hash text NOT NULL,
  hash text NOT NULL
);

CREATE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- One writer at a time, so that every row has exactly one predecessor.
  PERFORM pg_advisory_xact_lock(7266002);
  SELECT hash INTO NEW.previous_hash FROM audit_log ORDER BY id DESC LIMIT 1;
  NEW.previous_hash := coalesce(NEW.previous_hash, repeat('0', 64));
  NEW.created_at := now();
  NEW.hash := encode(sha256(convert_to(
    concat_ws('|', NEW.previous_hash, coalesce(NEW.actor_id::text, ''), NEW.action, NEW.target, NEW.details::text,
      coalesce(NEW.trace_id, ''), to_char(NEW.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')), 'UTF8')), 'hex');
  RETURN NEW;
END $$;

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit_log is append-only';
END $$;

CREATE TRIGGER audit_log_chain BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_chain();
CREATE TRIGGER audit_log_keep BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_chain;
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_keep;
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_no_truncate;
