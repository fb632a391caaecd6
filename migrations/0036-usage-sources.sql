-- Platforms beside Dify that report what their users used. What they report is kept and charged as messages of Dify are, under ids that begin
-- with the source's name.
CREATE TABLE usage_sources (
  name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{1,31}$'),
  description text,
  key_hash text NOT NULL,  -- SHA-256 of the key
  secret text NOT NULL,    -- sealed
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
