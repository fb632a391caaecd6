-- As before. A request id of long ago may just be forgotten (dify_forget_keys) between the claim and the look: then nobody came before, and the
-- places of all others stay what they are.
CREATE OR REPLACE FUNCTION dify_take(ids uuid[], messages uuid[], requests uuid[], times integer[]) RETURNS TABLE (n bigint, first dify_events)
LANGUAGE plpgsql
  -- By key always: a connection keeps the plans it made while the tables were small.
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  known uuid[];
BEGIN
  INSERT INTO dify_keys (key, event_id)
    SELECT k.key, k.id FROM (SELECT unnest(messages) AS key, unnest(ids) AS id UNION ALL SELECT unnest(requests), unnest(ids)) k
    ORDER BY k.key ON CONFLICT (key) DO NOTHING;
  SELECT array_agg(CASE WHEN m.event_id <> q.id THEN m.event_id WHEN r.event_id <> q.id THEN r.event_id END ORDER BY q.n) INTO known
    FROM unnest(ids, messages, requests) WITH ORDINALITY AS q (id, message, request, n)
    LEFT JOIN dify_keys m ON m.key = q.message LEFT JOIN dify_keys r ON r.key = q.request;
  IF array_remove(known, NULL) = '{}' THEN RETURN; END IF;
  -- A new request id of a known message is one more name of it. A new message under a known request id is not: it may come rightly yet.
  UPDATE dify_keys k SET event_id = q.first FROM unnest(ids, requests, known) AS q (id, request, first)
    WHERE q.first IS NOT NULL AND k.key = q.request AND k.event_id = q.id;
  DELETE FROM dify_keys k USING unnest(ids, messages, known) AS q (id, message, first)
    WHERE q.first IS NOT NULL AND k.key = q.message AND k.event_id = q.id;
  PERFORM FROM dify_events e WHERE e.id = ANY (known) ORDER BY e.id FOR UPDATE;
  UPDATE dify_events e SET deliveries = e.deliveries + q.times, last_delivery_at = clock_timestamp()
    FROM (SELECT c.first, sum(c.times)::integer AS times FROM unnest(known, times) AS c (first, times) WHERE c.first IS NOT NULL GROUP BY c.first) q
    WHERE e.id = q.first;
  RETURN QUERY SELECT q.n, e FROM unnest(known) WITH ORDINALITY AS q (first, n) JOIN dify_events e ON e.id = q.first;
END $$;
