-- Tiers: the limits a user has unless users.limits says otherwise. A tier without requests_per_minute takes the configured default.
CREATE TABLE tiers (
  name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_-]{0,31}$'),
  position integer NOT NULL UNIQUE,
  limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object')
);
INSERT INTO tiers (name, position, limits) VALUES
  ('restricted', 0, '{"max_parallel": 1}'),
  ('free', 1, '{"max_parallel": 256}'),
  ('standard', 2, '{"requests_per_minute": 300, "max_parallel": 512}'),
  ('pro', 3, '{"requests_per_minute": 1000, "max_parallel": 1024}');

CREATE TABLE users (
  id uuid PRIMARY KEY,
  email text NOT NULL CHECK (email = lower(email)),
  username text NOT NULL,
  -- E.164
  phone text,
  -- argon2id; null for people who sign in by code only
  password_hash text,
  email_verified boolean NOT NULL DEFAULT false,
  display_name text,
  locale text NOT NULL DEFAULT 'en' CHECK (locale IN ('en', 'zh-CN')),
  time_zone text NOT NULL DEFAULT 'Asia/Shanghai',
  roles text[] NOT NULL DEFAULT '{user}' CHECK (cardinality(roles) > 0 AND roles <@ '{user,support,operator,admin}'),
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'closed')),
  -- A suspension with a time ends by itself.
  suspended_until timestamptz CHECK (suspended_until IS NULL OR status = 'suspended'),
  tier text NOT NULL DEFAULT 'free',
  limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
  -- The ledger account that pays.
  wallet_id bigint NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  last_sign_in_at timestamptz
);
CREATE UNIQUE INDEX users_email ON users (email);
CREATE UNIQUE INDEX users_username ON users (lower(username));
CREATE UNIQUE INDEX users_phone ON users (phone);

-- One row per attempt to register. It is stored before its proof (code or link) is used, so that using the proof can never be
-- followed by losing what was asked for.
CREATE TABLE registrations (
  id uuid PRIMARY KEY,
  email text NOT NULL,
  -- Set when the proof is for this account as it stands; else the credentials below become the account's.
  user_id uuid REFERENCES users (id) ON DELETE CASCADE,
  username text,
  password_hash text,
  phone text,
  locale text NOT NULL DEFAULT 'en',
  -- SHA-256 of the token in the mailed link.
  link_token_hash text UNIQUE,
  link_expires_at timestamptz,
  activated_user_id uuid REFERENCES users (id) ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX registrations_email ON registrations (email);
CREATE INDEX registrations_age ON registrations (created_at);

-- Codes for everything but registration. Rows exist for unknown addresses too, so that both cost the same.
CREATE TABLE email_codes (
  id uuid PRIMARY KEY,
  email text NOT NULL,
  purpose text NOT NULL CHECK (purpose IN ('login', 'reset', 'change_email')),
  -- HMAC-SHA256 with HASH_SECRET
  code_hash text NOT NULL,
  tries integer NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX email_codes_latest ON email_codes (email, purpose, created_at DESC);
CREATE INDEX email_codes_age ON email_codes (expires_at);

-- What was asked to be mailed where: for the pause between sends and the daily cap.
CREATE TABLE email_sends (
  id uuid PRIMARY KEY,
  email text NOT NULL,
  kind text NOT NULL,
  sent_at timestamptz NOT NULL
);
CREATE INDEX email_sends_email ON email_sends (email, sent_at);
CREATE INDEX email_sends_age ON email_sends (sent_at);

CREATE TABLE sessions (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  ip text,
  user_agent text,
  created_at timestamptz NOT NULL,
  last_used_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz
);
CREATE INDEX sessions_user ON sessions (user_id);

-- The family of a session's refresh tokens; used ones are kept to notice reuse.
CREATE TABLE refresh_tokens (
  -- SHA-256 of the token
  hash text PRIMARY KEY,
  session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  expires_at timestamptz NOT NULL,
  used_at timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

-- Failed sign-ins per account and per address, with a growing delay.
CREATE TABLE login_failures (
  subject text PRIMARY KEY,
  failures integer NOT NULL,
  last_failure_at timestamptz NOT NULL,
  locked_until timestamptz
);
CREATE INDEX login_failures_age ON login_failures (last_failure_at);

CREATE TABLE api_keys (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name text NOT NULL,
  -- SHA-256 of the key
  hash text NOT NULL UNIQUE,
  -- What is shown of it.
  prefix text NOT NULL,
  -- The key before the last rotation, while its grace lasts.
  previous_hash text UNIQUE,
  previous_expires_at timestamptz,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled', 'revoked')),
  limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
  models text[],
  allowed_ips text[],
  expires_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  revoked_at timestamptz
);
CREATE INDEX api_keys_user ON api_keys (user_id, created_at DESC);
