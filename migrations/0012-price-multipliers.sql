-- What prices are multiplied by: rules, each in versions like prices. The version with the highest number is in force; what is not
-- named matches everything.
CREATE TABLE price_multipliers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  rule uuid NOT NULL,
  version integer NOT NULL CHECK (version > 0),
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  multiplier integer NOT NULL CHECK (multiplier BETWEEN 0 AND 10000000), -- millionths
  tier text,
  key_group text,
  model text REFERENCES models (name),
  time_zone text,
  from_minute smallint CHECK (from_minute BETWEEN 0 AND 1439), -- of the local day
  to_minute smallint CHECK (to_minute BETWEEN 0 AND 1439),     -- not included; not after from_minute: on the next day
  days smallint[] CHECK (cardinality(days) > 0 AND days <@ '{1,2,3,4,5,6,7}'), -- on which the window begins, 1 is Monday; null: all
  status text NOT NULL CHECK (status IN ('active', 'inactive', 'removed')),
  author_id uuid,
  reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (rule, version),
  CHECK (num_nulls(time_zone, from_minute, to_minute) IN (0, 3)),
  CHECK (days IS NULL OR time_zone IS NOT NULL)
);

CREATE FUNCTION price_multipliers_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'price_multipliers is append-only';
END $$;
CREATE TRIGGER price_multipliers_keep BEFORE UPDATE OR DELETE ON price_multipliers
  FOR EACH ROW EXECUTE FUNCTION price_multipliers_are_append_only();
CREATE TRIGGER price_multipliers_no_truncate BEFORE TRUNCATE ON price_multipliers
  FOR EACH STATEMENT EXECUTE FUNCTION price_multipliers_are_append_only();
ALTER TABLE price_multipliers ENABLE ALWAYS TRIGGER price_multipliers_keep, ENABLE ALWAYS TRIGGER price_multipliers_no_truncate;

-- Set by operators: what a multiplier can be for.
ALTER TABLE api_keys ADD COLUMN key_group text CHECK (key_group ~ '^[a-z][a-z0-9_-]{0,31}$');

-- How far our count of a model's prompts is off, as settled calls show; corrected daily.
CREATE TABLE model_estimates (
  model text PRIMARY KEY REFERENCES models (name) ON DELETE CASCADE,
  safety_percent integer NOT NULL CHECK (safety_percent BETWEEN 100 AND 300),
  calls bigint NOT NULL,
  computed_at timestamptz NOT NULL
);

-- When something that is done once in a while was last begun, so that of many workers one does it.
CREATE TABLE housekeeping_runs (
  name text PRIMARY KEY,
  begun_at timestamptz NOT NULL
);
