-- Messages that relayed calls are making. Whoever reports one before its call is recorded settles it as that call: against its hold and
-- so against its limits, with its key, at its price.
CREATE TABLE message_calls (
  message_key uuid PRIMARY KEY,          -- see src/usage/difyMessage.ts
  call_id uuid NOT NULL,                 -- also its hold's
  called_at timestamptz NOT NULL,
  user_id uuid NOT NULL,
  wallet_id bigint NOT NULL,
  key_id uuid,
  token_id uuid,
  model text NOT NULL,
  provider_id uuid,
  provider_name text,
  price_version_id bigint NOT NULL,
  price_multiplier integer NOT NULL,
  quota_weight integer,                  -- in percent; null: only credits are counted
  noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX message_calls_age ON message_calls (noted_at);

ALTER TABLE usage_messages
  ADD COLUMN free boolean NOT NULL DEFAULT false, -- its call came to nothing: it costs nothing, whoever reports it
  ADD COLUMN paused_at bigint;                    -- the tokens it had when its run paused; what comes after that has a key of its own

-- Says that messages cost nothing. Those that were recorded before stay as they are.
CREATE FUNCTION usage_waive_messages(keys uuid[], event_ids uuid[], times timestamptz[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO usage_messages (message_key, event_id, event_at, free)
    SELECT c.key, c.event_id, c.event_at, true FROM unnest(keys, event_ids, times) AS c(key, event_id, event_at) ORDER BY c.key
    ON CONFLICT (message_key) DO NOTHING;
$$;

-- As usage_record, for batches in which events have a `message_key`. Those whose message is recorded already are left out and returned.
CREATE OR REPLACE FUNCTION usage_record_messages(events jsonb, event_shards integer[], OUT wake integer[], OUT known uuid[]) LANGUAGE plpgsql
  SET enable_seqscan = off AS $$
DECLARE
  keys uuid[];
  ids uuid[];
  times timestamptz[];
  pauses bigint[];
BEGIN
  SELECT array_agg(e.message_key), array_agg(e.id), array_agg(e.created_at), array_agg(e.message_paused_at) INTO keys, ids, times, pauses
    FROM jsonb_to_recordset(events) AS e(id uuid, created_at timestamptz, message_key uuid, message_paused_at bigint)
    WHERE e.message_key IS NOT NULL;
  known := usage_claim_messages(keys, ids, times);
  IF array_remove(pauses, NULL) <> '{}' THEN
    UPDATE usage_messages m SET paused_at = c.paused_at FROM unnest(keys, ids, pauses) AS c(key, event_id, paused_at)
      WHERE m.message_key = c.key AND m.event_id = c.event_id AND c.paused_at IS NOT NULL;
  END IF;
  IF cardinality(known) > 0 THEN
    events := (SELECT coalesce(jsonb_agg(e), '[]') FROM jsonb_array_elements(events) AS e WHERE (e ->> 'id')::uuid <> ALL (known));
  END IF;
  wake := usage_record(events, event_shards);
END $$;

-- As ledger_note_tokens, in a transaction that settles afterwards: wallets are locked before holds, as everybody locks them.
CREATE FUNCTION ledger_note_settled_tokens(p_wallets bigint[], p_ids uuid[], p_tokens bigint[]) RETURNS void LANGUAGE plpgsql
  SET search_path = public, pg_temp SET enable_seqscan = off AS $$
BEGIN
  PERFORM FROM ledger_accounts a WHERE a.id = ANY (p_wallets) AND a.kind = 'wallet' ORDER BY a.id FOR NO KEY UPDATE;
  PERFORM FROM ledger_holds h WHERE h.id = ANY (p_ids) ORDER BY h.id FOR UPDATE;
  PERFORM ledger_note_tokens(p_ids, p_tokens);
END $$;
