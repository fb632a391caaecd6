-- Limits on more than one caller: all calls together, each address, each model or a named one. Limits of users, keys and tiers stand
-- with them. A row in mode shadow refuses nothing and tells what it would have refused; it may stand beside the one that is enforced.
CREATE TABLE gateway_limits (
  id uuid PRIMARY KEY,
  scope text NOT NULL CHECK (scope IN ('global', 'ip', 'model')),
  -- null: for every model, each counted for itself
  model text REFERENCES models (name),
  mode text NOT NULL DEFAULT 'enforce' CHECK (mode IN ('enforce', 'shadow')),
  limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
  -- What a token of the model counts in every limit on tokens; null: as for every model, or 100.
  token_weight_percent integer CHECK (token_weight_percent BETWEEN 0 AND 100000),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK (model IS NULL OR scope = 'model'),
  CHECK (token_weight_percent IS NULL OR (scope = 'model' AND mode = 'enforce'))
);
CREATE UNIQUE INDEX gateway_limits_target ON gateway_limits (scope, coalesce(model, ''), mode);
