-- Finding holds by id must stay a matter of the primary key, however few or many there are.

-- The planner took the partial index of open holds (WHERE state = 'held') to find a few holds by id. That index keeps every hold
-- closed since the last vacuum, so that finding ten meant reading thousands. A condition that it cannot match leaves the primary key.

CREATE OR REPLACE FUNCTION ledger_extend(p_ids uuid[], p_ttl bigint) RETURNS SETOF uuid LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM ledger_holds WHERE id = ANY (p_ids) ORDER BY id FOR UPDATE;
  RETURN QUERY UPDATE ledger_holds SET expires_at = greatest(expires_at, now() + p_ttl * interval '1 millisecond')
    WHERE id = ANY (p_ids) AND state IS NOT DISTINCT FROM 'held' RETURNING id;
END $$;

CREATE OR REPLACE FUNCTION ledger_pin_holds(p_ids uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM ledger_holds WHERE id = ANY (p_ids) ORDER BY id FOR UPDATE;
  UPDATE ledger_holds SET expires_at = 'infinity' WHERE id = ANY (p_ids) AND state IS NOT DISTINCT FROM 'held';
END $$;

-- The plan of a statement in a function is kept by each connection. One made while a table was still empty reads the whole table
-- ever after, until the next ANALYZE. These find rows by key only: reading a whole table is never right for them.
ALTER FUNCTION ledger_extend SET enable_seqscan = off;
ALTER FUNCTION ledger_pin_holds SET enable_seqscan = off;
ALTER FUNCTION ledger_close_holds SET enable_seqscan = off;
ALTER FUNCTION ledger_settle SET enable_seqscan = off;
ALTER FUNCTION usage_settled SET enable_seqscan = off;
