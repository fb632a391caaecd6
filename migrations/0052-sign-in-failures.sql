-- Of the failures of an account those that came from an address its owner has signed in from: only these say something about the owner.
-- Everybody else's lock the account and lower nothing.
ALTER TABLE login_failures ADD COLUMN own_failures integer NOT NULL DEFAULT 0;
