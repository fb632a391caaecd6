-- The standard plan has dated terms, as a subscription of one's own has: what was in force stays known, and no change of its day, its zone
-- or of which plan it is moves a period that has begun. Periods of an account form a chain, which the database itself sees to.

-- What everybody without a subscription of his own has from a moment on. A change of plan begins at any moment, one of day or zone where
-- a period ends. A change that has not begun may be replaced; `no` is never used twice.
CREATE TABLE standard_terms (
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  from_at timestamptz NOT NULL UNIQUE,
  plan text NOT NULL REFERENCES plans (name),
  reset_day smallint NOT NULL CHECK (reset_day BETWEEN 1 AND 31),
  time_zone text NOT NULL,
  author_id uuid,
  reason text,
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO standard_terms (from_at, plan, reset_day, time_zone, reason)
  SELECT timestamptz 'epoch', p.name, v.reset_day, v.time_zone, 'what was in force when terms came to be kept'
  FROM plans p JOIN plan_versions v ON v.plan = p.name WHERE p.standard ORDER BY v.version DESC LIMIT 1;

-- The newest of the standard terms that was known when a period was opened or last brought up to date.
ALTER TABLE subscription_periods ADD COLUMN standard_no bigint NOT NULL DEFAULT 0;
CREATE INDEX subscription_periods_open ON subscription_periods (ends_at, standard_no);

-- Changes of the standard plan may have left periods that overlap: each ends where the next one begins.
DO $$
DECLARE
  period record;
BEGIN
  FOR period IN
    SELECT user_id, starts_at, next FROM (
      SELECT user_id, starts_at, ends_at, lead(starts_at) OVER (PARTITION BY user_id ORDER BY starts_at) AS next FROM subscription_periods
    ) q WHERE next <> ends_at ORDER BY user_id, starts_at
  LOOP
    UPDATE subscription_periods SET ends_at = period.next WHERE user_id = period.user_id AND starts_at = period.starts_at;
  END LOOP;
END $$;
UPDATE subscriptions s SET opened_until = q.until
  FROM (SELECT user_id, max(ends_at) AS until FROM subscription_periods GROUP BY user_id) q WHERE q.user_id = s.user_id AND s.opened_until <> q.until;

-- A period begins where the one before it ends, and none has two that follow it; only the first follows none. So an account's periods
-- can neither overlap nor leave a gap, whoever writes them.
ALTER TABLE subscription_periods ADD COLUMN follows timestamptz CHECK (follows = starts_at);
UPDATE subscription_periods p SET follows = starts_at
  WHERE EXISTS (SELECT FROM subscription_periods b WHERE b.user_id = p.user_id AND b.starts_at < p.starts_at);
ALTER TABLE subscription_periods
  ADD CONSTRAINT subscription_periods_chain FOREIGN KEY (user_id, follows) REFERENCES subscription_periods (user_id, ends_at);
CREATE UNIQUE INDEX subscription_periods_first ON subscription_periods (user_id) WHERE follows IS NULL;

CREATE FUNCTION quota_follow() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  NEW.follows := CASE WHEN EXISTS (SELECT FROM subscription_periods WHERE user_id = NEW.user_id) THEN NEW.starts_at END;
  RETURN NEW;
END $$;
CREATE TRIGGER subscription_periods_follow BEFORE INSERT ON subscription_periods FOR EACH ROW EXECUTE FUNCTION quota_follow();
