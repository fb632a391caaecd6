-- What makes a repeat a repeat is kept for longer than a message is taken at all, and no longer. See src/usage/dify/retention.ts.

-- A key goes with the event it stands for, whose id begins with its time.
CREATE INDEX dify_keys_event ON dify_keys (event_id);

-- The key of a message, as src/usage/difyMessage.ts makes it.
CREATE FUNCTION dify_message_key(message text) RETURNS uuid LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
  bytes bytea := substring(sha256(convert_to('dify-message:' || message, 'UTF8')) FOR 16);
BEGIN
  RETURN encode(set_byte(set_byte(bytes, 6, get_byte(bytes, 6) & 15 | 128), 8, get_byte(bytes, 8) & 63 | 128), 'hex')::uuid;
END $$;

-- Forgets keys of events with lower ids, at most so many. What somebody is just using is passed over.
CREATE FUNCTION dify_forget_keys(below uuid, most integer) RETURNS integer LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  gone integer;
BEGIN
  DELETE FROM dify_keys WHERE key = ANY (ARRAY(
    SELECT key FROM dify_keys WHERE event_id < below ORDER BY event_id LIMIT most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;

-- Forgets which events were recorded for messages before a time, at most so many; but not of messages that wait to be charged, for those
-- are charged only if nobody was.
CREATE FUNCTION usage_forget_messages(before timestamptz, most integer) RETURNS integer LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  waiting uuid[] := ARRAY(SELECT dify_message_key(message_id) FROM dify_events WHERE state = 'open' AND charged_at IS NULL);
  gone integer;
BEGIN
  DELETE FROM usage_messages WHERE message_key = ANY (ARRAY(
    SELECT message_key FROM usage_messages WHERE recorded_at < before AND message_key <> ALL (waiting)
    ORDER BY recorded_at LIMIT most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;
