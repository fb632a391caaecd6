-- Everybody is subscribed, to the standard plan unless to another: who is there already from now on, others as they come.
CREATE FUNCTION quota_subscribe() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO subscriptions (user_id, wallet_id) VALUES (NEW.id, NEW.wallet_id) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER users_subscribe AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION quota_subscribe();
INSERT INTO subscriptions (user_id, wallet_id) SELECT id, wallet_id FROM users ON CONFLICT DO NOTHING;
