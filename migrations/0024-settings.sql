-- Live settings that differ from their defaults. Which keys there are and what each may be is said in code.
CREATE TABLE settings (
  key text PRIMARY KEY CHECK (key ~ '^[a-z]+(\.[a-z_]+)+$'),
  value jsonb NOT NULL,
  -- The version of all settings that set it.
  version bigint NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Every change: one version of all settings, one row for each key that it changed. A value of NULL is the default.
CREATE TABLE settings_history (
  version bigint NOT NULL CHECK (version > 0),
  key text NOT NULL,
  value jsonb,
  previous jsonb,
  author_id uuid NOT NULL,
  reason text NOT NULL CHECK (reason <> ''),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (version, key)
);
CREATE INDEX settings_history_key ON settings_history (key, version DESC);
