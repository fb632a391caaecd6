-- Rules by which tiers change by themselves, in versions; the newest counts. Before the first there are none.
CREATE TABLE tier_rules (
  version integer PRIMARY KEY CHECK (version > 0),
  rules jsonb NOT NULL CHECK (jsonb_typeof(rules) = 'object'),
  author_id uuid,
  reason text,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- What the rules know of a user.
CREATE TABLE tier_standings (
  user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  -- The tier the rules saw or gave last: another one was set by an operator, and the rules leave it alone.
  tier text NOT NULL,
  score smallint NOT NULL CHECK (score BETWEEN 0 AND 100),
  -- What the score leaves of rates and parallel calls.
  limit_percent smallint NOT NULL DEFAULT 100 CHECK (limit_percent BETWEEN 1 AND 100),
  reviewed_at timestamptz NOT NULL,
  changed_at timestamptz
);
CREATE INDEX tier_standings_turn ON tier_standings (reviewed_at);

-- Every change with its reasons. Append-only.
CREATE TABLE tier_decisions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id uuid NOT NULL,
  from_tier text NOT NULL,
  to_tier text NOT NULL,
  score smallint NOT NULL,
  reasons jsonb NOT NULL,
  facts jsonb NOT NULL,
  rules_version integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tier_decisions_user ON tier_decisions (user_id, id DESC);

CREATE TRIGGER tier_rules_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON tier_rules FOR EACH STATEMENT EXECUTE FUNCTION quotas_refuse();
CREATE TRIGGER tier_decisions_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON tier_decisions FOR EACH STATEMENT EXECUTE FUNCTION quotas_refuse();
ALTER TABLE tier_rules ENABLE ALWAYS TRIGGER tier_rules_keep;
ALTER TABLE tier_decisions ENABLE ALWAYS TRIGGER tier_decisions_keep;
