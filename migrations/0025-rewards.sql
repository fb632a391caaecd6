-- Rewards: check-in, welcome, referrals, campaigns. Credit itself is in the ledger; every amount here is in micro-credits.

-- Every reward that was paid, once: the id is that of its transfer, and the row is made in the transaction that credits.
CREATE TABLE reward_payments (
  id text PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('checkin', 'welcome', 'referrer', 'referred', 'campaign')),
  user_id uuid NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  paid_at timestamptz NOT NULL
);
CREATE INDEX reward_payments_time ON reward_payments (paid_at);
CREATE INDEX reward_payments_user ON reward_payments (user_id, kind);
INSERT INTO reward_payments (id, kind, user_id, amount, paid_at)
  SELECT t.id, 'welcome', u.id, t.amount, t.created_at FROM users u JOIN ledger_transfers t ON t.id = 'welcome:' || u.id;

-- One row for each person and day in the person's time zone.
CREATE TABLE checkins (
  user_id uuid NOT NULL REFERENCES users (id),
  day date NOT NULL,
  kind text NOT NULL CHECK (kind IN ('checkin', 'makeup')),
  -- The zone that the day was told in.
  time_zone text NOT NULL,
  -- How many days in a row, this one included.
  streak integer NOT NULL CHECK (streak > 0),
  reward bigint NOT NULL CHECK (reward >= 0),
  -- What a made-up day cost.
  price bigint NOT NULL DEFAULT 0 CHECK (price >= 0),
  balance_after bigint NOT NULL,
  -- The caller's Idempotency-Key: the same key finds the same row, also after a crash.
  request_key text,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (user_id, day),
  CHECK (CASE kind WHEN 'checkin' THEN price = 0 ELSE reward = 0 END)
);
CREATE UNIQUE INDEX checkins_request ON checkins (user_id, request_key) WHERE request_key IS NOT NULL;

CREATE TABLE referral_codes (
  user_id uuid PRIMARY KEY REFERENCES users (id),
  code text NOT NULL UNIQUE CHECK (code ~ '^[A-Z0-9]{6,16}$'),
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Who brought whom. pending: no top-up yet. held: an operator decides. due: being paid.
CREATE TABLE referrals (
  id uuid PRIMARY KEY,
  referrer_id uuid NOT NULL REFERENCES users (id),
  referred_id uuid NOT NULL UNIQUE REFERENCES users (id),
  code text NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'held', 'due', 'paid', 'refused')),
  -- Why it was refused.
  reason text,
  -- What speaks for one person behind both accounts.
  signals text[] NOT NULL DEFAULT '{}',
  -- Where the referred person registered from.
  network text,
  -- The top-up that it is paid for, and what each side gets by the settings of that moment.
  order_no text UNIQUE,
  referrer_reward bigint NOT NULL DEFAULT 0 CHECK (referrer_reward >= 0),
  referred_reward bigint NOT NULL DEFAULT 0 CHECK (referred_reward >= 0),
  expires_days integer NOT NULL DEFAULT 0,
  -- The referrer had as many paid referrals that month as one may have, and got nothing for this one.
  capped boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  qualified_at timestamptz,
  paid_at timestamptz,
  reviewed_by uuid,
  review_reason text,
  CHECK (referrer_id <> referred_id),
  CHECK ((status = 'refused') = (reason IS NOT NULL)),
  CHECK (status NOT IN ('held', 'due', 'paid') OR order_no IS NOT NULL),
  CHECK ((status = 'paid') = (paid_at IS NOT NULL))
);
CREATE INDEX referrals_referrer ON referrals (referrer_id, created_at DESC);
CREATE INDEX referrals_open ON referrals (status, created_at) WHERE status IN ('held', 'due');

-- How many referrals of a person were rewarded in a month (UTC): the row is what keeps the cap.
CREATE TABLE referral_months (
  referrer_id uuid NOT NULL,
  month date NOT NULL,
  rewarded integer NOT NULL CHECK (rewarded > 0),
  PRIMARY KEY (referrer_id, month)
);

-- Completed top-ups that rewards may follow from. A row is made in the transaction that credits the top-up, so that none is missed,
-- and is done once everything that follows has been paid.
CREATE TABLE reward_topups (
  order_no text PRIMARY KEY,
  user_id uuid NOT NULL,
  -- What was bought, without any bonus.
  credits bigint NOT NULL CHECK (credits > 0),
  completed_at timestamptz NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  done_at timestamptz,
  -- Rewards stay paid when their top-up is refunded; that it was is on record.
  refunded_at timestamptz
);
CREATE INDEX reward_topups_waiting ON reward_topups (attempts, completed_at) WHERE done_at IS NULL;
CREATE INDEX reward_topups_user ON reward_topups (user_id, completed_at);
INSERT INTO reward_topups (order_no, user_id, credits, completed_at, done_at, refunded_at)
  SELECT order_no, user_id, base_credits, completed_at, now(), CASE status WHEN 'refunded' THEN updated_at END
  FROM topup_orders WHERE completed_at IS NOT NULL;

CREATE FUNCTION reward_topup_refunded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE reward_topups SET refunded_at = now() WHERE order_no = NEW.order_no AND refunded_at IS NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER topup_orders_refunded AFTER UPDATE OF status ON topup_orders FOR EACH ROW
  WHEN (NEW.status = 'refunded' AND OLD.status <> 'refunded') EXECUTE FUNCTION reward_topup_refunded();

CREATE TABLE campaigns (
  id uuid PRIMARY KEY,
  code text NOT NULL CHECK (code ~ '^[A-Za-z0-9][A-Za-z0-9_-]{2,31}$'),
  name text NOT NULL,
  description text,
  -- Who starts a claim: the person, or a completed top-up.
  trigger text NOT NULL CHECK (trigger IN ('claim', 'topup')),
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused')),
  -- Whether people see it in their list; else they must know its code.
  listed boolean NOT NULL DEFAULT true,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  reward bigint NOT NULL CHECK (reward > 0),
  budget bigint NOT NULL CHECK (budget > 0),
  paid bigint NOT NULL DEFAULT 0,
  claims bigint NOT NULL DEFAULT 0,
  most_per_user integer NOT NULL DEFAULT 1 CHECK (most_per_user > 0),
  new_within_days integer CHECK (new_within_days > 0),
  min_topup bigint CHECK (min_topup > 0),
  tiers text[],
  -- What is paid expires after this many days; 0: never.
  expires_days integer NOT NULL DEFAULT 0 CHECK (expires_days >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK (ends_at > starts_at),
  CONSTRAINT campaigns_within_budget CHECK (paid BETWEEN 0 AND budget)
);
CREATE UNIQUE INDEX campaigns_code ON campaigns (upper(code));
CREATE INDEX campaigns_time ON campaigns (ends_at);

-- `no` counts a person's claims of a campaign.
CREATE TABLE campaign_claims (
  campaign_id uuid NOT NULL REFERENCES campaigns (id),
  user_id uuid NOT NULL REFERENCES users (id),
  no integer NOT NULL CHECK (no > 0),
  amount bigint NOT NULL CHECK (amount > 0),
  balance_after bigint NOT NULL,
  order_no text,
  request_key text,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (campaign_id, user_id, no)
);
CREATE UNIQUE INDEX campaign_claims_order ON campaign_claims (campaign_id, order_no);
CREATE UNIQUE INDEX campaign_claims_request ON campaign_claims (campaign_id, user_id, request_key);
CREATE INDEX campaign_claims_user ON campaign_claims (user_id, created_at DESC);

-- What a registration said about who brought the person, until its account exists: code, address, device.
ALTER TABLE registrations ADD COLUMN referral jsonb;
