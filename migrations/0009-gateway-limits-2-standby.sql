-- What limits have counted while Redis is away. Nothing here need outlive a crash: it is about the last minute.
-- Times are milliseconds of the clock that the copies share.
CREATE UNLOGGED TABLE limit_windows (
  id text PRIMARY KEY,
  start_ms bigint NOT NULL,
  current bigint NOT NULL,
  previous bigint NOT NULL
);

CREATE UNLOGGED TABLE limit_permits (
  counter text NOT NULL,
  call_id text NOT NULL,
  -- The copy that runs the call.
  owner text NOT NULL,
  until_ms bigint NOT NULL,
  PRIMARY KEY (counter, call_id)
);
CREATE INDEX limit_permits_owner ON limit_permits (owner);

-- The copies of the api, so that none begins to count here before all have put in what they know.
CREATE UNLOGGED TABLE limit_copies (
  owner text PRIMARY KEY,
  seen_at timestamptz NOT NULL DEFAULT now(),
  told_at timestamptz NOT NULL DEFAULT '-infinity',
  -- Until then it has said that it cannot use Redis.
  away_until timestamptz NOT NULL DEFAULT '-infinity'
);
