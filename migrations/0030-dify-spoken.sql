-- How long a message is, for when it is spoken: tokens say little of that.
ALTER TABLE dify_ids ADD COLUMN characters integer; -- of a message's answer; null: it has not ended, or was not seen here
