-- Short-lived tokens for end users: made with a key, for calls only, with a budget of their own. A token dies with its key.
CREATE TABLE end_user_tokens (
  id uuid PRIMARY KEY,
  key_id uuid NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
  -- SHA-256 of the token
  hash text NOT NULL UNIQUE,
  -- What is shown of it.
  prefix text NOT NULL,
  -- Who it is for, in the words of who asked for it.
  end_user text,
  -- Micro-credits, for its whole life.
  budget bigint NOT NULL CHECK (budget > 0),
  limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
  models text[],
  allowed_ips text[],
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz
);
CREATE INDEX end_user_tokens_key ON end_user_tokens (key_id, created_at DESC, id DESC);
CREATE INDEX end_user_tokens_live ON end_user_tokens (key_id, expires_at) WHERE revoked_at IS NULL;
CREATE INDEX end_user_tokens_age ON end_user_tokens (expires_at);

-- When a key was last used and from which address: exact to the minute.
ALTER TABLE api_keys ADD COLUMN last_used_at timestamptz, ADD COLUMN last_used_ip text;
