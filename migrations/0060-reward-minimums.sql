-- What a top-up must buy for a reward is what it had to when the reward was earned, whatever settings and campaigns ask for since.
ALTER TABLE referrals ADD COLUMN min_topup bigint NOT NULL DEFAULT 0 CHECK (min_topup >= 0),
  ADD COLUMN attempts integer NOT NULL DEFAULT 0;
ALTER TABLE campaign_claims ADD COLUMN min_topup bigint NOT NULL DEFAULT 0 CHECK (min_topup >= 0);

-- Of those until now it is not known: what is asked for today, but no more than their top-up stands for.
CREATE FUNCTION pg_temp.stands_for(t reward_topups) RETURNS bigint LANGUAGE sql AS $$
  SELECT t.credits - CASE WHEN t.refunded_at IS NULL AND t.reversed_at IS NOT NULL THEN t.refunded_credits ELSE 0 END
$$;
UPDATE referrals r SET min_topup = least(s.micro, pg_temp.stands_for(t))
  FROM reward_topups t, (SELECT ((value #>> '{}')::numeric * 1000000)::bigint AS micro FROM settings WHERE key = 'referral.min_topup') s
  WHERE t.order_no = r.order_no;
UPDATE campaign_claims l SET min_topup = least(c.min_topup, pg_temp.stands_for(t))
  FROM reward_topups t, campaigns c
  WHERE t.order_no = coalesce(l.topup_no, l.order_no) AND c.id = l.campaign_id AND c.min_topup IS NOT NULL;

-- Those that are due are paid in the order in which they were tried least, so that none holds up another.
CREATE INDEX referrals_due ON referrals (attempts, created_at) WHERE status = 'due';
