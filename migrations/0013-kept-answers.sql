-- Answers that a provider keeps for later requests to build on (OpenAI's /v1/responses), and their pieces: whose they are and where
-- they lie. The provider has one account for all our customers, so this table is the only wall between them.
CREATE TABLE relay_responses (
  user_id uuid NOT NULL,
  id text NOT NULL,                 -- the provider's: of the answer, or of one of its pieces
  response_id text NOT NULL,        -- the answer it belongs to; the same for the answer itself
  provider_id uuid NOT NULL,
  model text NOT NULL,              -- under which the provider is found
  context_tokens bigint NOT NULL CHECK (context_tokens >= 0), -- what building on it adds to a prompt
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (user_id, id)
);
CREATE INDEX relay_responses_expiry ON relay_responses (expires_at);
CREATE INDEX relay_responses_answer ON relay_responses (user_id, response_id);
