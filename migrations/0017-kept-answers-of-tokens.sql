-- The end-user token that made an answer, which then no other token may read or build on. Null: a key made it, and no token may.
ALTER TABLE relay_responses ADD COLUMN token_id uuid;
