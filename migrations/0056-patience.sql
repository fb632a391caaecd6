-- Who claims a message waits no longer for somebody else who has claimed it and stands still: SQLSTATE 55P03, and nothing is done.
ALTER FUNCTION dify_take SET lock_timeout = '100ms';
ALTER FUNCTION usage_claim_messages SET lock_timeout = '100ms';

-- Those of the messages (n, from 1) that nobody is just claiming or taking, found by trying: nothing that is tried stays. A key that another
-- transaction has written cannot be seen, only waited for; so this looks for `most` and leaves out what it did not come to, in no order.
CREATE FUNCTION dify_free(messages uuid[], requests uuid[], most interval) RETURNS SETOF bigint LANGUAGE plpgsql
  SET enable_seqscan = off SET lock_timeout = '1ms' AS $$
DECLARE
  item record;
  nobody uuid := gen_random_uuid();
BEGIN
  FOR item IN SELECT * FROM unnest(messages, requests) WITH ORDINALITY AS q (message, request, n) ORDER BY random() LOOP
    EXIT WHEN clock_timestamp() > statement_timestamp() + most;
    BEGIN
      IF item.request IS NOT NULL THEN
        INSERT INTO dify_keys (key, event_id) VALUES (item.message, nobody), (item.request, nobody) ON CONFLICT (key) DO NOTHING;
        PERFORM FROM dify_events e JOIN dify_keys k ON k.event_id = e.id WHERE k.key IN (item.message, item.request) FOR UPDATE OF e;
      END IF;
      INSERT INTO usage_messages (message_key, event_id, event_at) VALUES (item.message, nobody, now()) ON CONFLICT (message_key) DO NOTHING;
      RAISE EXCEPTION 'it is free' USING ERRCODE = 'TK000';
    EXCEPTION
      WHEN lock_not_available THEN NULL;
      WHEN SQLSTATE 'TK000' THEN RETURN NEXT item.n;
    END;
  END LOOP;
END $$;
