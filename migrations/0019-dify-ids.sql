-- As usage_record, for batches in which events have a `message_key`. Those whose message is recorded already are left out and returned.
DROP FUNCTION usage_record_messages;
CREATE FUNCTION usage_record_messages(events jsonb, event_shards integer[], OUT wake integer[], OUT known uuid[]) LANGUAGE plpgsql AS $$
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

-- Whose the things are that Dify made for a call: conversations, messages, tasks, workflow runs, files. An id that is not here for an owner
-- does not exist for him, whatever Dify would answer.
CREATE TABLE dify_ids (
  owner text NOT NULL,               -- the `user` that Dify was told, see src/usage/difyMessage.ts
  id text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('conversation', 'message', 'task', 'run', 'file')),
  provider_id uuid NOT NULL,
  model text NOT NULL,
  input_tokens bigint,               -- of a conversation's or message's last turn; of a task or run what was charged so far
  output_tokens bigint,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz,            -- null: as long as it is at Dify
  PRIMARY KEY (owner, id)
);
CREATE INDEX dify_ids_expiry ON dify_ids (expires_at) WHERE expires_at IS NOT NULL;
