-- What could not be taken back of a reward, because it was spent, is held back from the same person's later rewards.
ALTER TABLE reward_reversals ADD COLUMN withheld bigint NOT NULL DEFAULT 0 CHECK (withheld >= 0),
  ADD CONSTRAINT reward_reversals_within CHECK (recovered + withheld <= amount);
CREATE INDEX reward_reversals_due ON reward_reversals (user_id, created_at) WHERE ended_at IS NOT NULL AND recovered + withheld < amount;

-- So much of a paid reward was held back at once, for earlier ones.
ALTER TABLE reward_payments ADD COLUMN withheld bigint NOT NULL DEFAULT 0, ADD CHECK (withheld BETWEEN 0 AND amount);
