-- Tiers that users had, each until when: what was used then is priced by it, however late it is charged.
CREATE TABLE past_tiers (
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  until timestamptz NOT NULL,
  tier text NOT NULL,
  PRIMARY KEY (user_id, until)
);
CREATE FUNCTION users_note_tier() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO past_tiers (user_id, until, tier) VALUES (OLD.id, clock_timestamp(), OLD.tier) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER users_tier_changed AFTER UPDATE OF tier ON users FOR EACH ROW
  WHEN (OLD.tier <> NEW.tier) EXECUTE FUNCTION users_note_tier();
