-- How often somebody was tried to be told: those tried least come first, so that one who cannot be told holds up no other.
ALTER TABLE balance_notices ADD COLUMN attempts integer NOT NULL DEFAULT 0;
DROP INDEX balance_notices_waiting;
CREATE INDEX balance_notices_waiting ON balance_notices (attempts, crossed_at) WHERE told_at IS NULL;
ALTER TABLE notice_settings ADD COLUMN webhook_told_attempts integer NOT NULL DEFAULT 0;
