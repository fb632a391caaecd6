-- Top-up orders, what was paid for them, and what payment providers told us. Amounts of money are in the smallest unit of
-- their currency (fen), credits in micro-credits.

-- One row per order, made before anything else happens; the number is never used again. A completed order is the bill of the
-- top-up: it becomes completed in the transaction that credits the wallet.
CREATE TABLE topup_orders (
  order_no text PRIMARY KEY CHECK (order_no ~ '^TK[0-9A-Z]{4,30}$'),
  -- Number of the bill. Drawn from the same sequence as the ledger's transfers, so that all bills of a person have one order.
  bill_no bigint NOT NULL UNIQUE DEFAULT nextval('ledger_transfers_seq_seq'),
  user_id uuid NOT NULL REFERENCES users (id),
  wallet_id bigint NOT NULL,
  -- A callback may only touch an order made for the same provider and merchant.
  provider text NOT NULL CHECK (provider ~ '^[a-z]{2,16}$'),
  merchant text NOT NULL,
  channel text NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  -- Micro-credits for one unit of the currency at the time of the order: a late payment is credited at this rate.
  rate bigint NOT NULL CHECK (rate > 0),
  base_credits bigint NOT NULL CHECK (base_credits > 0),
  bonus_credits bigint NOT NULL DEFAULT 0 CHECK (bonus_credits >= 0),
  status text NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'paid', 'completed', 'expired', 'cancelled', 'failed', 'refunded')),
  -- The caller's Idempotency-Key: the same key finds the same order, also after a crash.
  request_key text,
  client_ip text,
  pay_url text,
  qr_code text,
  -- The provider's number of the payment that was credited.
  trade_no text,
  late boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  closed_at timestamptz,
  paid_at timestamptz,
  completed_at timestamptz,
  receipt_at timestamptz,
  CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'refunded'))),
  CHECK (completed_at IS NULL OR trade_no IS NOT NULL)
);
CREATE UNIQUE INDEX topup_orders_request ON topup_orders (user_id, request_key) WHERE request_key IS NOT NULL;
CREATE INDEX topup_orders_user ON topup_orders (user_id, bill_no);
CREATE INDEX topup_orders_wallet ON topup_orders (wallet_id, bill_no);
CREATE INDEX topup_orders_open ON topup_orders (expires_at) WHERE status IN ('pending', 'paid');

-- Every payment a provider has reported, once each. The second one of an order is to be refunded; one number under two orders is refused.
CREATE TABLE topup_trades (
  provider text NOT NULL,
  merchant text NOT NULL,
  trade_no text NOT NULL,
  order_no text NOT NULL REFERENCES topup_orders (order_no),
  amount bigint NOT NULL,
  reported_by text NOT NULL CHECK (reported_by IN ('callback', 'query')),
  outcome text NOT NULL CHECK (outcome IN ('credited', 'second_payment', 'wrong_amount')),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (provider, merchant, trade_no)
);
CREATE INDEX topup_trades_order ON topup_trades (order_no);

-- What an operator must look at, once per order, kind and subject.
CREATE TABLE topup_flags (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  order_no text NOT NULL REFERENCES topup_orders (order_no),
  kind text NOT NULL CHECK (kind IN ('late', 'paid_after_cancel', 'wrong_amount', 'paid_twice', 'trade_of_another_order', 'not_confirmed')),
  -- What it is about: a trade number, an amount.
  subject text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  resolved_at timestamptz,
  UNIQUE (order_no, kind, subject)
);
CREATE INDEX topup_flags_open ON topup_flags (created_at) WHERE resolved_at IS NULL;

-- Verified callbacks, as they came. Stored before they are acknowledged; delivered_at is set when the order's workflow has been told.
CREATE TABLE payment_callbacks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  provider text NOT NULL,
  event_id text NOT NULL,
  order_no text NOT NULL REFERENCES topup_orders (order_no),
  trade_no text NOT NULL,
  -- paid: the provider says it was paid. other: any other state, which changes nothing.
  kind text NOT NULL CHECK (kind IN ('paid', 'other')),
  amount bigint NOT NULL,
  raw bytea NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  delivered_at timestamptz,
  UNIQUE (provider, event_id)
);
CREATE INDEX payment_callbacks_order ON payment_callbacks (order_no, id);
CREATE INDEX payment_callbacks_waiting ON payment_callbacks (received_at) WHERE delivered_at IS NULL;

-- Refused callbacks. The same bytes again are counted, not stored again.
CREATE TABLE payment_refusals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  provider text NOT NULL,
  kind text NOT NULL,
  raw_hash text NOT NULL,
  raw bytea NOT NULL,
  order_no text,
  client_ip text,
  times bigint NOT NULL DEFAULT 1,
  first_at timestamptz NOT NULL DEFAULT now(),
  last_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (provider, kind, raw_hash)
);
CREATE INDEX payment_refusals_age ON payment_refusals (last_at);

-- Read model: bills. Top-ups come from their orders, consumption and refunds from the ledger; `type` is null for other transfers, which
-- are no bills: whoever reads leaves them out (a WHERE in here would keep the planner from walking both indexes in order).
-- `id` orders all bills of a person and is indexed on both sides. `amount` is in money (fen) where it was paid in money, else null:
-- it then follows from the credits.
CREATE VIEW topup_bills AS
  SELECT o.bill_no AS id, o.wallet_id, 'topup'::text AS type, o.amount, o.currency, o.base_credits + o.bonus_credits AS credits,
    NULL::text AS description, o.provider, o.channel, o.order_no, o.trade_no AS transaction_id,
    CASE WHEN o.status IN ('pending', 'paid') THEN 'pending'::text WHEN o.status IN ('completed', 'refunded') THEN 'completed'::text
      WHEN o.status = 'cancelled' THEN 'cancelled'::text ELSE 'failed'::text END AS status,
    o.created_at, o.updated_at, o.completed_at
  FROM topup_orders o;

CREATE VIEW transfer_bills AS
  SELECT t.seq AS id, t.debit_account AS wallet_id,
    CASE t.type WHEN 'CONSUMPTION'::text THEN 'consumption'::text WHEN 'REFUND'::text THEN 'refund'::text END AS type,
    NULL::bigint AS amount, NULL::text AS currency, t.amount AS credits, t.description, NULL::text AS provider, NULL::text AS channel,
    NULL::text AS order_no, t.id AS transaction_id, 'completed'::text AS status, t.created_at, t.created_at AS updated_at,
    t.created_at AS completed_at
  FROM ledger_transfers t;

CREATE VIEW billing_records AS SELECT * FROM topup_bills UNION ALL SELECT * FROM transfer_bills;
