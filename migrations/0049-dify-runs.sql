-- Runs of Dify's that an account pays for to their end, whoever reads that: from their first pause until what they used is charged. Nothing
-- but these rows says that a run goes on when the process that read its events is gone, or a person answered its form at Dify itself.
CREATE TABLE dify_runs (
  owner text NOT NULL,                   -- the `user` that Dify was told
  run text NOT NULL,
  charge text NOT NULL,                  -- what it is charged by: its message's id, or its own
  task text,                             -- by which it is stopped
  of_message boolean NOT NULL,
  -- Who pays by which terms: those of the last call that made it go on.
  user_id uuid NOT NULL,
  wallet_id bigint NOT NULL,
  key_id uuid,
  token_id uuid,
  model text NOT NULL,
  provider_id uuid NOT NULL,
  provider_name text NOT NULL,
  price_version_id bigint NOT NULL,
  price_multiplier integer NOT NULL,
  quota_weight integer,                  -- in percent; null: only credits are counted
  -- paused: a person's word is waited for; followed: a call reads on; left: it may go on, and no call reads it any more.
  state text NOT NULL CHECK (state IN ('paused', 'followed', 'left')),
  call_id uuid,                          -- the call, and its hold, which is kept until this row is settled
  since timestamptz NOT NULL DEFAULT clock_timestamp(), -- of the state
  next_at timestamptz NOT NULL,          -- when Dify is asked
  tries integer NOT NULL DEFAULT 0,      -- how often in vain
  PRIMARY KEY (owner, run)
);
CREATE INDEX dify_runs_due ON dify_runs (next_at);
CREATE INDEX dify_runs_holds ON dify_runs (call_id) WHERE call_id IS NOT NULL;
