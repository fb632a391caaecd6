-- Notices about a low balance. A balance changes by transfers alone, so a crossing is seen where transfers are posted, whoever posts them,
-- and kept in the same transaction: it can neither be missed nor be seen twice.

-- What somebody wants to be told, and where to.
CREATE TABLE notice_settings (
  user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  wallet_id bigint NOT NULL UNIQUE,
  email boolean NOT NULL DEFAULT true,
  webhook_url text,
  webhook_secret text,                         -- sealed
  webhook_status text CHECK (webhook_status IN ('active', 'disabled')),
  webhook_failures integer NOT NULL DEFAULT 0, -- deliveries given up, one after the other
  webhook_told boolean NOT NULL DEFAULT true,  -- false: its owner is to be told by mail that it was disabled
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK (num_nulls(webhook_url, webhook_secret, webhook_status) IN (0, 3))
);
CREATE INDEX notice_settings_untold ON notice_settings (user_id) WHERE NOT webhook_told;

-- One threshold of one wallet. Armed while the balance has been above it since it was last below.
CREATE TABLE balance_watches (
  wallet_id bigint NOT NULL,
  threshold bigint NOT NULL CHECK (threshold > 0), -- micro-credits
  armed boolean NOT NULL,
  turned_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (wallet_id, threshold)
) WITH (fillfactor = 70);

-- A balance that fell below a threshold; told when mail and webhook are on their way.
CREATE TABLE balance_notices (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  wallet_id bigint NOT NULL,
  threshold bigint NOT NULL,
  balance bigint NOT NULL, -- right after the transfer that crossed it
  crossed_at timestamptz NOT NULL DEFAULT now(),
  told_at timestamptz
);
CREATE INDEX balance_notices_waiting ON balance_notices (crossed_at) WHERE told_at IS NULL;
CREATE INDEX balance_notices_wallet ON balance_notices (wallet_id, crossed_at);

-- What was sent, or is to be sent, to somebody's webhook. A queue carries it; what the queue loses is found here.
CREATE TABLE webhook_deliveries (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL,
  type text NOT NULL,
  body text NOT NULL, -- as it is signed and sent
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed', 'cancelled')),
  attempts integer NOT NULL DEFAULT 0,
  last_status integer,
  last_error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  next_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz
);
CREATE INDEX webhook_deliveries_user ON webhook_deliveries (user_id, created_at DESC);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (next_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_age ON webhook_deliveries (created_at);

-- Within one statement all transfers move a wallet the same way (0001-ledger-2), so the balance after it tells whether it crossed. The
-- wallets are locked by whoever posts, and so are their watches. By index always: a plan made while the tables were small is kept.
CREATE FUNCTION balance_watch() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  WITH moved AS (
    SELECT debit_account AS id FROM posted UNION SELECT credit_account FROM posted
  ), turned AS (
    UPDATE balance_watches w SET armed = NOT w.armed, turned_at = now()
    FROM moved m JOIN ledger_accounts a ON a.id = m.id
    WHERE w.wallet_id = m.id AND CASE WHEN w.armed THEN a.balance < w.threshold ELSE a.balance > w.threshold END
    RETURNING w.wallet_id, w.threshold, w.armed, a.balance
  )
  INSERT INTO balance_notices (wallet_id, threshold, balance)
    SELECT wallet_id, threshold, balance FROM turned WHERE NOT armed ORDER BY threshold DESC;
  RETURN NULL;
END $$;
-- After ledger_transfers_apply, which has moved the balances: triggers of a statement fire by name.
CREATE TRIGGER ledger_transfers_watched AFTER INSERT ON ledger_transfers REFERENCING NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION balance_watch();

-- Watches these thresholds of a wallet and no others. Those that stay keep their state; one that is new and not below the balance waits
-- for the balance to rise above it.
CREATE FUNCTION balance_watch_thresholds(p_wallet bigint, p_thresholds bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wallet ledger_accounts;
BEGIN
  SELECT * INTO STRICT wallet FROM ledger_accounts WHERE id = p_wallet AND kind = 'wallet' FOR NO KEY UPDATE;
  DELETE FROM balance_watches WHERE wallet_id = p_wallet AND threshold <> ALL (p_thresholds);
  INSERT INTO balance_watches (wallet_id, threshold, armed)
    SELECT p_wallet, t, wallet.balance > t FROM unnest(p_thresholds) AS t ON CONFLICT DO NOTHING;
END $$;
