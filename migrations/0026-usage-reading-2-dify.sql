-- The message of Dify behind a charge, for the wallet's history.
CREATE INDEX dify_events_event ON dify_events (event_id) WHERE event_id IS NOT NULL;
