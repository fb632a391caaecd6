-- A message whose total is not the sum of its parts waits for an operator.
ALTER TABLE dify_events DROP CONSTRAINT dify_events_reason_check, ADD CONSTRAINT dify_events_reason_check CHECK (reason IN
  ('user_not_found', 'model_not_found', 'model_not_priced', 'cost_out_of_range', 'totals_disagree', 'insufficient_balance', 'relay_waits',
   'settlement_refused'));
