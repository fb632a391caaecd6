-- Of a top-up only a part may be refunded. Its rewards stay while what is left of it is as large as they ask for.
ALTER TABLE reward_topups ADD COLUMN refunded_credits bigint NOT NULL DEFAULT 0 CHECK (refunded_credits BETWEEN 0 AND credits);
ALTER TABLE campaign_dues ADD COLUMN min_topup bigint NOT NULL DEFAULT 0;

DROP INDEX reward_topups_refunded;
CREATE INDEX reward_topups_refunded ON reward_topups (attempts, refunded_at)
  WHERE (refunded_at IS NOT NULL OR refunded_credits > 0) AND reversed_at IS NULL;

-- As before; what was decided after a refund of a part is decided anew.
CREATE OR REPLACE FUNCTION reward_topup_refunded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE reward_topups SET refunded_at = now(), reversed_at = NULL WHERE order_no = NEW.order_no AND refunded_at IS NULL;
  RETURN NULL;
END $$;
