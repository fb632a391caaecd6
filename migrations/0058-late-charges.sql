-- What is charged late without a hold of its own (a run that nobody read to its end, the rest of a message whose client had left) counts on
-- the limits and quotas of the call that began it.

-- Opens holds of 0 that count on the budgets of earlier calls, for charges that are made in the same transaction; answers those of p_ids
-- that were opened. The budgets are those of the hold, or else of the settlement, p_of, or where there is none left p_else; counters that
-- were forgotten count no more. What counts requests counts none: the call has. p_tokens: what is used, weighted, in hundredths. p_wallets:
-- all wallets that the transaction is to charge, locked here in their order, each for p_patience milliseconds at most (SQLSTATE 55P03); 0: as
-- long as it takes.
CREATE FUNCTION ledger_hold_late(
  p_ids uuid[], p_of uuid[], p_else uuid[], p_holders bigint[], p_tokens bigint[], p_wallets bigint[], p_patience integer
) RETURNS SETOF uuid LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  patience text := current_setting('lock_timeout');
  found jsonb;
BEGIN
  IF p_patience > 0 THEN PERFORM set_config('lock_timeout', p_patience::text, true); END IF;
  PERFORM FROM ledger_accounts a WHERE a.id = ANY (p_wallets || p_holders) AND a.kind = 'wallet' ORDER BY a.id FOR NO KEY UPDATE;
  SELECT jsonb_agg(jsonb_build_object('id', q.id, 'wallet', q.holder, 'budgets', c.budgets, 'tokens', q.tokens)) INTO found
    FROM unnest(p_ids, p_of, p_else, p_holders, p_tokens) AS q (id, of, instead, holder, tokens)
    CROSS JOIN LATERAL (
      SELECT o.budgets FROM (
        SELECT 1 AS place, h.budgets FROM ledger_holds h WHERE h.id = q.of AND h.wallet_id = q.holder
        UNION ALL SELECT 2, s.budgets FROM ledger_settlements s WHERE s.id = q.of::text AND s.wallet_id = q.holder
        UNION ALL SELECT 3, h.budgets FROM ledger_holds h WHERE h.id = q.instead AND h.wallet_id = q.holder
        UNION ALL SELECT 4, s.budgets FROM ledger_settlements s WHERE s.id = q.instead::text AND s.wallet_id = q.holder
      ) o ORDER BY o.place LIMIT 1
    ) c
    WHERE c.budgets IS NOT NULL;
  PERFORM FROM ledger_budgets b
    WHERE b.no IN (SELECT n.no::bigint FROM jsonb_array_elements(found) AS e CROSS JOIN LATERAL jsonb_array_elements_text(e -> 'budgets') AS n (no))
    ORDER BY b.no FOR NO KEY UPDATE;
  IF p_patience > 0 THEN PERFORM set_config('lock_timeout', patience, true); END IF;
  RETURN QUERY
    INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at, budgets, counts, tokens)
      SELECT (e ->> 'id')::uuid, (e ->> 'wallet')::bigint, 0, 'late', now() + interval '1 minute', c.budgets,
        CASE WHEN c.counted THEN c.counts END, CASE WHEN c.counted THEN coalesce((e ->> 'tokens')::bigint, 0) END
      FROM jsonb_array_elements(found) AS e
      CROSS JOIN LATERAL (
        SELECT array_agg(b.no ORDER BY n.place) AS budgets, bool_or(b.period ~ '^q[rt]:') AS counted,
          array_agg(CASE WHEN b.period ~ '^q[rt]:' THEN 0::bigint END ORDER BY n.place) AS counts
        FROM jsonb_array_elements_text(e -> 'budgets') WITH ORDINALITY AS n (no, place) JOIN ledger_budgets b ON b.no = n.no::bigint
      ) c
      WHERE c.budgets IS NOT NULL
      ORDER BY 1
      RETURNING id;
END $$;

-- The call that let a run go on last, which is its first until a form of it is answered here: what is charged late is dated by it, and counts
-- on its limits.
ALTER TABLE dify_runs ADD COLUMN began_by uuid, ADD COLUMN began_at timestamptz NOT NULL DEFAULT clock_timestamp();
UPDATE dify_runs SET began_by = call_id, began_at = since;
