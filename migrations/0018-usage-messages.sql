-- A message of a provider that may be reported twice, by the relay that saw its end and by the provider's webhook, is charged once:
-- whoever writes its key first, in the transaction that records the event, has the charge; who comes second finds the first's event.
CREATE TABLE usage_messages (
  message_key uuid PRIMARY KEY,          -- see src/usage/difyMessage.ts
  event_id uuid NOT NULL,                -- usage_events (id, created_at)
  event_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX usage_messages_age ON usage_messages (recorded_at);

-- Claims keys for events. One that another transaction is just claiming is waited for. Returns the events that came second.
CREATE FUNCTION usage_claim_messages(keys uuid[], event_ids uuid[], times timestamptz[]) RETURNS uuid[] LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_messages (message_key, event_id, event_at)
    SELECT * FROM unnest(keys, event_ids, times) AS c(key, event_id, event_at) ORDER BY c.key
    ON CONFLICT (message_key) DO NOTHING;
  RETURN ARRAY(
    SELECT c.event_id FROM unnest(keys, event_ids) AS c(key, event_id)
    JOIN usage_messages m ON m.message_key = c.key WHERE m.event_id <> c.event_id);
END $$;

-- As usage_record, for batches in which events have a `message_key`. Those whose message is recorded already are left out and returned.
CREATE FUNCTION usage_record_messages(events jsonb, event_shards integer[], OUT wake integer[], OUT known uuid[])
LANGUAGE plpgsql AS $$
DECLARE
  keys uuid[];
  ids uuid[];
  times timestamptz[];
BEGIN
  SELECT array_agg(e.message_key), array_agg(e.id), array_agg(e.created_at) INTO keys, ids, times
    FROM jsonb_to_recordset(events) AS e(id uuid, created_at timestamptz, message_key uuid) WHERE e.message_key IS NOT NULL;
  known := usage_claim_messages(keys, ids, times);
  IF cardinality(known) > 0 THEN
    events := (SELECT coalesce(jsonb_agg(e), '[]') FROM jsonb_array_elements(events) AS e WHERE (e ->> 'id')::uuid <> ALL (known));
  END IF;
  wake := usage_record(events, event_shards);
END $$;
