-- Plans, who is subscribed to what, the periods that were opened, and their statements.

-- A plan. What it gives is in its versions: the newest counts, from when it says.
CREATE TABLE plans (
  name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_-]{0,31}$'),
  position integer NOT NULL DEFAULT 0,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'retired')),
  -- Everybody without a subscription of his own has this one.
  standard boolean NOT NULL DEFAULT false CHECK (NOT standard OR status = 'active'),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX plans_standard ON plans (standard) WHERE standard;

CREATE TABLE plan_versions (
  plan text NOT NULL REFERENCES plans (name),
  version integer NOT NULL CHECK (version > 0),
  display_name text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 100),
  description text NOT NULL DEFAULT '',
  price_fen bigint NOT NULL DEFAULT 0 CHECK (price_fen >= 0),            -- a period
  allowance bigint NOT NULL DEFAULT 0 CHECK (allowance BETWEEN 0 AND 1000000000000000), -- micro-credits a period
  limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),   -- before those of the tier, quotas included
  weights jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(weights) = 'object'), -- model: percent, in quotas
  -- Of new subscriptions.
  reset_day smallint NOT NULL DEFAULT 1 CHECK (reset_day BETWEEN 1 AND 31),
  time_zone text NOT NULL DEFAULT 'Asia/Shanghai',
  change_takes_effect text NOT NULL DEFAULT 'next_period' CHECK (change_takes_effect IN ('now', 'next_period')),
  author_id uuid,
  reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (plan, version)
);

-- What a user is subscribed to from a moment on. A change of plan begins at any moment, one of day or zone where a period ends.
CREATE TABLE subscription_terms (
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  from_at timestamptz NOT NULL,
  plan text NOT NULL REFERENCES plans (name),
  reset_day smallint NOT NULL CHECK (reset_day BETWEEN 1 AND 31),
  time_zone text NOT NULL,
  author_id uuid,
  reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, from_at)
);

-- One row per user, made by the first run that finds him.
CREATE TABLE subscriptions (
  user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  wallet_id bigint NOT NULL,
  -- The end of the newest period that was opened; null: none yet.
  opened_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX subscriptions_due ON subscriptions (opened_until NULLS FIRST);

-- A period that was opened: once, which its key sees to.
CREATE TABLE subscription_periods (
  user_id uuid NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  wallet_id bigint NOT NULL,
  -- What was in force when it was opened, or when it last changed.
  plan text NOT NULL,
  plan_version integer NOT NULL,
  -- Granted for it so far, in micro-credits, in how many grants.
  granted bigint NOT NULL DEFAULT 0 CHECK (granted >= 0),
  grants integer NOT NULL DEFAULT 0,
  opened_at timestamptz NOT NULL DEFAULT now(),
  -- When its statement may be written, and when it was.
  statement_due_at timestamptz NOT NULL,
  stated_at timestamptz,
  PRIMARY KEY (user_id, starts_at),
  UNIQUE (user_id, ends_at),
  CHECK (ends_at > starts_at)
);
CREATE INDEX subscription_periods_unstated ON subscription_periods (statement_due_at) WHERE stated_at IS NULL;
CREATE INDEX subscription_periods_plan ON subscription_periods (plan, plan_version, ends_at);

-- What happened on a wallet in a period, exact: opening + credits - consumption - expiry + other = closing. Append-only.
CREATE TABLE statements (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id uuid NOT NULL,
  wallet_id bigint NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  plan text NOT NULL,
  opening bigint NOT NULL,
  credits bigint NOT NULL,
  consumption bigint NOT NULL,
  expiry bigint NOT NULL,
  other bigint NOT NULL,
  closing bigint NOT NULL,
  credits_by_source jsonb NOT NULL,
  consumption_by_model jsonb NOT NULL,
  other_by_type jsonb NOT NULL,
  -- The wallet's newest transfer when this was written, and what of the transfers until then belongs to later periods.
  last_seq bigint NOT NULL,
  later jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, starts_at),
  CHECK (opening + credits - consumption - expiry + other = closing)
);

CREATE FUNCTION quotas_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER plan_versions_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON plan_versions FOR EACH STATEMENT EXECUTE FUNCTION quotas_refuse();
CREATE TRIGGER statements_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON statements FOR EACH STATEMENT EXECUTE FUNCTION quotas_refuse();
ALTER TABLE plan_versions ENABLE ALWAYS TRIGGER plan_versions_keep;
ALTER TABLE statements ENABLE ALWAYS TRIGGER statements_keep;

-- A user's terms, oldest first, as identity reads them together with a key; null without a subscription of his own.
CREATE FUNCTION quota_terms(p_user uuid) RETURNS jsonb LANGUAGE sql STABLE
RETURN (
  SELECT jsonb_agg(jsonb_build_object('fromMs', floor(extract(epoch FROM from_at) * 1000)::bigint, 'plan', plan, 'resetDay', reset_day, 'timeZone', time_zone)
    ORDER BY from_at)
  FROM subscription_terms WHERE user_id = p_user
);

INSERT INTO plans (name, standard) VALUES ('free', true);
INSERT INTO plan_versions (plan, version, display_name, description, reason)
  VALUES ('free', 1, 'Free', 'No allowance; limits are those of the tier.', 'there from the beginning');
