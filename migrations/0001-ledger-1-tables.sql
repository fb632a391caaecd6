-- The ledger: integer double entry. Constraints and the triggers of 0001-ledger-2 to -5 refuse what does not follow from a correct
-- transfer, hold or settlement, whoever writes it and also while session_replication_role = replica. (Foreign keys would be off
-- then, so the triggers check the references.) What they do not stop: a posting that is correct in form, such as a credit by
-- INSERT or a call of ledger_settle with a cost of 0, which is on record like any other; and DDL by the tables' owner, who can
-- switch triggers off: `npm run ledger:verify` names guards that are off. In production, people and reports use roles that do
-- not own the tables.

-- An account. A wallet never goes below zero and never holds more than it has.
CREATE TABLE ledger_accounts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL CHECK (code ~ '^[a-z]+(:[a-z0-9_.-]+)*$'),
  asset text NOT NULL DEFAULT 'CREDIT' CHECK (asset ~ '^[A-Z]{3,8}$'),
  kind text NOT NULL CHECK (kind IN ('wallet', 'system')),
  balance bigint NOT NULL DEFAULT 0,
  held bigint NOT NULL DEFAULT 0,
  -- seq of the account's newest transfer: its balance_after is the balance.
  last_seq bigint NOT NULL DEFAULT 0,
  -- The earliest expiry among the wallet's unspent grants.
  next_expiry timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (code, asset),
  CONSTRAINT ledger_wallet_code CHECK ((kind = 'wallet') = (code LIKE 'wallet:%')),
  CONSTRAINT ledger_never_negative CHECK (kind = 'system' OR balance >= 0),
  CONSTRAINT ledger_held_is_covered CHECK (CASE kind WHEN 'wallet' THEN held BETWEEN 0 AND balance ELSE held = 0 END)
) WITH (fillfactor = 50);
CREATE INDEX ledger_accounts_next_expiry ON ledger_accounts (next_expiry) WHERE next_expiry IS NOT NULL;

-- Append-only. The id is the idempotency key. seq orders the transfers of an account; balance_after of both sides forms a
-- chain per account. source, priority and expires_at describe the grant that is made when a wallet is credited; grant_id
-- names the one grant to burn when a wallet is debited, else grants burn in their order.
CREATE TABLE ledger_transfers (
  id text PRIMARY KEY CHECK (id <> ''),
  seq bigint GENERATED ALWAYS AS IDENTITY,
  debit_account bigint NOT NULL,
  credit_account bigint NOT NULL,
  asset text NOT NULL DEFAULT 'CREDIT',
  amount bigint NOT NULL CHECK (amount > 0),
  type text NOT NULL CHECK (type IN
    ('CHECKIN', 'CONSUMPTION', 'BONUS', 'PURCHASE', 'ADMIN', 'REFUND', 'ALLOWANCE', 'EXPIRY', 'TRANSFER')),
  description text NOT NULL,
  reference text,
  debit_balance_after bigint NOT NULL,
  credit_balance_after bigint NOT NULL,
  source text CHECK (source IN ('purchase', 'allowance', 'bonus', 'checkin', 'admin')),
  priority smallint,
  expires_at timestamptz,
  grant_id bigint,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK (debit_account <> credit_account),
  CHECK (source IS NOT NULL OR (priority IS NULL AND expires_at IS NULL)),
  CHECK (source IS NULL OR priority IS NOT NULL)
);
CREATE UNIQUE INDEX ledger_transfers_seq ON ledger_transfers (seq);
CREATE INDEX ledger_transfers_debit ON ledger_transfers (debit_account, seq);
CREATE INDEX ledger_transfers_credit ON ledger_transfers (credit_account, seq);

-- Credit with a source. Made and burned only by the trigger on ledger_transfers; the sum of remaining is the wallet's balance.
CREATE TABLE ledger_grants (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  wallet_id bigint NOT NULL,
  source text NOT NULL,
  priority smallint NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  remaining bigint NOT NULL CHECK (remaining BETWEEN 0 AND amount),
  expires_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  transfer_id text NOT NULL UNIQUE
) WITH (fillfactor = 70);
CREATE INDEX ledger_grants_unspent ON ledger_grants (wallet_id, expires_at) WHERE remaining > 0;

-- Which transfer burned how much of which grant. Append-only.
CREATE TABLE ledger_burns (
  transfer_id text NOT NULL,
  grant_id bigint NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  PRIMARY KEY (transfer_id, grant_id)
);
CREATE INDEX ledger_burns_grant ON ledger_burns (grant_id);

-- Credit reserved for a running call. The sum of the open holds of a wallet is its account's held.
CREATE TABLE ledger_holds (
  id uuid PRIMARY KEY,
  wallet_id bigint NOT NULL,
  amount bigint NOT NULL CHECK (amount >= 0),
  state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'settled', 'released', 'swept')),
  owner text NOT NULL,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz,
  CHECK ((state = 'held') = (closed_at IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.1);
CREATE INDEX ledger_holds_sweep ON ledger_holds (expires_at) WHERE state = 'held';
-- For forgetting old ones: tiny, and never touched by an update.
CREATE INDEX ledger_holds_age ON ledger_holds USING brin (created_at);

-- One row per settled item, also when nothing was charged: this is what makes settlement happen exactly once. Append-only.
CREATE TABLE ledger_settlements (
  id text PRIMARY KEY,
  hold_id uuid NOT NULL,
  wallet_id bigint NOT NULL,
  cost bigint NOT NULL CHECK (cost >= 0),
  charged bigint NOT NULL CHECK (charged BETWEEN 0 AND cost),
  balance_after bigint NOT NULL,
  hold_missing boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- A hold pays for one item.
CREATE UNIQUE INDEX ledger_settlements_hold ON ledger_settlements (hold_id) WHERE NOT hold_missing;

-- What an operator should look at: a hold whose owner vanished, a cost that could not be charged in full. Append-only.
CREATE TABLE ledger_incidents (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('hold_swept', 'hold_missing', 'uncharged')),
  reference text NOT NULL,
  details jsonb NOT NULL,
  at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ledger_incidents_at ON ledger_incidents (at);
CREATE INDEX ledger_incidents_reference ON ledger_incidents (reference);
