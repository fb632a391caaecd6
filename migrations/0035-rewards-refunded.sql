-- A reward is for a top-up that stands. One that is refunded before its rewards are paid pays none; from those that were paid, what is left
-- of their credit is taken back. And a campaign pays what was earned while it ran, whatever becomes of it before the payment.

-- What campaigns owe a top-up, by their terms when it was credited. Made in that transaction, gone when it was decided.
CREATE TABLE campaign_dues (
  order_no text NOT NULL REFERENCES reward_topups (order_no),
  campaign_id uuid NOT NULL REFERENCES campaigns (id),
  reward bigint NOT NULL CHECK (reward > 0),
  most_per_user integer NOT NULL,
  new_within_days integer,
  tiers text[],
  expires_days integer NOT NULL,
  PRIMARY KEY (order_no, campaign_id)
);
CREATE INDEX campaign_dues_campaign ON campaign_dues (campaign_id);
INSERT INTO campaign_dues (order_no, campaign_id, reward, most_per_user, new_within_days, tiers, expires_days)
  SELECT t.order_no, c.id, c.reward, c.most_per_user, c.new_within_days, c.tiers, c.expires_days
  FROM reward_topups t JOIN campaigns c ON c.trigger = 'topup' AND c.status = 'active' AND c.starts_at <= t.completed_at
    AND c.ends_at > t.completed_at AND coalesce(c.min_topup, 0) <= t.credits
  WHERE t.done_at IS NULL AND NOT EXISTS (SELECT FROM campaign_claims l WHERE l.campaign_id = c.id AND l.order_no = t.order_no);

-- When it was decided what becomes of the rewards of a refunded top-up. Refunds until now were under another rule: what was paid stayed.
ALTER TABLE reward_topups ADD COLUMN reversed_at timestamptz;
UPDATE reward_topups SET reversed_at = refunded_at WHERE refunded_at IS NOT NULL;
CREATE INDEX reward_topups_refunded ON reward_topups (attempts, refunded_at) WHERE refunded_at IS NOT NULL AND reversed_at IS NULL;

-- The top-up without which a claim would have been refused.
ALTER TABLE campaign_claims ADD COLUMN topup_no text REFERENCES reward_topups (order_no);
CREATE INDEX campaign_claims_topup ON campaign_claims (topup_no) WHERE topup_no IS NOT NULL;
CREATE INDEX campaign_claims_by_order ON campaign_claims (order_no) WHERE order_no IS NOT NULL;

-- Rewards to be taken back. What its owner has spent stays spent: amount - recovered once it has ended.
CREATE TABLE reward_reversals (
  payment_id text PRIMARY KEY REFERENCES reward_payments (id),
  order_no text NOT NULL REFERENCES reward_topups (order_no),
  kind text NOT NULL,
  user_id uuid NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  recovered bigint NOT NULL DEFAULT 0 CHECK (recovered BETWEEN 0 AND amount),
  attempts integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz -- null while running calls hold what is left of it
);
CREATE INDEX reward_reversals_time ON reward_reversals (created_at DESC);
CREATE INDEX reward_reversals_open ON reward_reversals (attempts, created_at) WHERE ended_at IS NULL;
CREATE INDEX reward_reversals_user ON reward_reversals (user_id, created_at DESC);

-- reversed: its top-up was refunded after a side was paid.
ALTER TABLE referrals DROP CONSTRAINT referrals_status_check, DROP CONSTRAINT referrals_check2, DROP CONSTRAINT referrals_check3,
  ADD CONSTRAINT referrals_status_check CHECK (status IN ('pending', 'held', 'due', 'paid', 'refused', 'reversed')),
  ADD CONSTRAINT referrals_have_topup CHECK (status NOT IN ('held', 'due', 'paid', 'reversed') OR order_no IS NOT NULL),
  ADD CONSTRAINT referrals_paid CHECK (CASE status WHEN 'paid' THEN paid_at IS NOT NULL WHEN 'reversed' THEN true ELSE paid_at IS NULL END);

-- Locks a wallet and the accounts that are to pay it, in the order of all: several of them, one after the other, would come behind
-- 'unpaid', which the first credit to a wallet that owes locks.
CREATE FUNCTION ledger_lock(p_wallet bigint, p_codes text[]) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wallet ledger_accounts;
  name text;
BEGIN
  SELECT * INTO wallet FROM ledger_accounts WHERE id = p_wallet AND kind = 'wallet' FOR NO KEY UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'there is no wallet %', p_wallet USING ERRCODE = 'no_data_found'; END IF;
  FOR name IN SELECT DISTINCT code FROM unnest(p_codes) AS code ORDER BY code LOOP
    PERFORM ledger_system_account(name, wallet.asset);
  END LOOP;
END $$;
