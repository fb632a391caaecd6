-- What was reported stays, with one exception: a message whose total was not the sum of its parts, and of which nobody was charged, may come
-- again rightly. The right report takes its place; what the wrong one said stays in its incidents.
DROP TRIGGER dify_events_fixed ON dify_events;
CREATE TRIGGER dify_events_fixed BEFORE UPDATE ON dify_events FOR EACH ROW
  WHEN ((OLD.id, OLD.message_id, OLD.received_at) IS DISTINCT FROM (NEW.id, NEW.message_id, NEW.received_at)
    OR ((OLD.request_id, OLD.conversation_id, OLD.external_user, OLD.model_name, OLD.input_tokens, OLD.output_tokens, OLD.total_tokens, OLD.happened_at)
      IS DISTINCT FROM (NEW.request_id, NEW.conversation_id, NEW.external_user, NEW.model_name, NEW.input_tokens, NEW.output_tokens, NEW.total_tokens, NEW.happened_at)
      AND NOT (OLD.state = 'open' AND OLD.charged_at IS NULL AND NEW.charged_at IS NULL AND OLD.total_tokens <> OLD.input_tokens + OLD.output_tokens
        AND NEW.total_tokens = NEW.input_tokens + NEW.output_tokens))
    OR (OLD.charged_at IS NOT NULL AND (OLD.event_id, OLD.cost, OLD.owed, OLD.charged_at, OLD.answer)
      IS DISTINCT FROM (NEW.event_id, NEW.cost, NEW.owed, NEW.charged_at, NEW.answer)))
  EXECUTE FUNCTION dify_refuse();
ALTER TABLE dify_events ENABLE ALWAYS TRIGGER dify_events_fixed;
