-- What of a bill is paid. A shortfall is one bill, paid in parts as credit comes in: `paid` is what has been collected of it.
CREATE OR REPLACE VIEW topup_bills AS
  SELECT o.bill_no AS id, o.wallet_id, 'topup'::text AS type, o.amount, o.currency, o.base_credits + o.bonus_credits AS credits,
    NULL::text AS description, o.provider, o.channel, o.order_no, o.trade_no AS transaction_id,
    CASE WHEN o.status IN ('pending', 'paid') THEN 'pending'::text WHEN o.status IN ('completed', 'refunded') THEN 'completed'::text
      WHEN o.status = 'cancelled' THEN 'cancelled'::text ELSE 'failed'::text END AS status,
    o.created_at, o.updated_at, o.completed_at,
    CASE WHEN o.status IN ('completed', 'refunded') THEN o.base_credits + o.bonus_credits ELSE 0::bigint END AS paid
  FROM topup_orders o;
CREATE OR REPLACE VIEW transfer_bills AS
  SELECT t.seq AS id, t.debit_account AS wallet_id,
    CASE WHEN t.id LIKE 'collect:%' THEN NULL WHEN t.type = 'CONSUMPTION' THEN 'consumption'::text WHEN t.type = 'REFUND' THEN 'refund'::text END AS type,
    NULL::bigint AS amount, NULL::text AS currency, t.amount AS credits, t.description, NULL::text AS provider, NULL::text AS channel,
    NULL::text AS order_no, t.id AS transaction_id, 'completed'::text AS status, t.created_at, t.created_at AS updated_at,
    t.created_at AS completed_at, t.amount AS paid
  FROM ledger_transfers t;
CREATE OR REPLACE VIEW shortfall_bills AS
  SELECT s.seq AS id, s.wallet_id, 'consumption'::text AS type, NULL::bigint AS amount, NULL::text AS currency, s.amount AS credits,
    t.description, NULL::text AS provider, NULL::text AS channel, NULL::text AS order_no, t.id AS transaction_id,
    CASE WHEN s.collected = s.amount THEN 'completed'::text ELSE 'pending'::text END AS status,
    s.created_at, coalesce(s.collected_at, s.created_at) AS updated_at, s.collected_at AS completed_at, s.collected AS paid
  FROM ledger_shortfalls s JOIN ledger_transfers t ON t.seq = s.seq;
CREATE OR REPLACE VIEW billing_records AS
  SELECT * FROM topup_bills UNION ALL SELECT * FROM transfer_bills UNION ALL SELECT * FROM shortfall_bills;

-- What was paid on bills, each payment when it was made: for consumption and refunds the very transfers that history shows.
CREATE VIEW bill_payments AS
  SELECT o.bill_no AS bill, o.wallet_id, 'topup'::text AS type, o.amount, o.base_credits + o.bonus_credits AS credits, o.created_at
  FROM topup_orders o WHERE o.status IN ('completed', 'refunded')
  UNION ALL
  SELECT coalesce(s.seq, t.seq), t.debit_account, CASE t.type WHEN 'CONSUMPTION' THEN 'consumption'::text WHEN 'REFUND' THEN 'refund'::text END,
    NULL::bigint, t.amount, t.created_at
  FROM ledger_transfers t LEFT JOIN ledger_shortfalls s ON t.id LIKE 'collect:%' AND s.id = t.reference;
