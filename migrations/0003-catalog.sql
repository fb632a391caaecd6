-- What can be called. A name is compared ignoring case; it may hold "/" and ":".
CREATE TABLE models (
  name text PRIMARY KEY CHECK (char_length(name) BETWEEN 1 AND 100),
  aliases text[] NOT NULL DEFAULT '{}',
  display_name text,
  modality text NOT NULL DEFAULT 'text',
  context_length integer CHECK (context_length > 0),
  max_output_tokens integer CHECK (max_output_tokens > 0),
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Every name and alias in lower case, so that none can mean two models. Kept by the trigger below.
CREATE TABLE model_names (
  name_key text PRIMARY KEY,
  model text NOT NULL REFERENCES models (name) ON DELETE CASCADE
);
CREATE INDEX model_names_model ON model_names (model);

CREATE FUNCTION models_keep_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM model_names WHERE model = NEW.name;
  INSERT INTO model_names (name_key, model)
    SELECT DISTINCT lower(given), NEW.name FROM unnest(NEW.name || NEW.aliases) AS given;
  RETURN NULL;
END $$;
CREATE TRIGGER models_names AFTER INSERT OR UPDATE OF aliases ON models FOR EACH ROW EXECUTE FUNCTION models_keep_names();

-- Sale prices in micro-credits: per 1000 tokens for the token classes, per one for the rest. A model without a row here has no price
-- and is refused; a price of 0 is one set on purpose. The version with the highest number is in force.
CREATE TABLE price_versions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model text NOT NULL REFERENCES models (name),
  version integer NOT NULL CHECK (version > 0),
  input_price bigint NOT NULL,
  output_price bigint NOT NULL,
  cached_input_price bigint, -- null: as input
  cache_write_price bigint,  -- null: as input
  reasoning_price bigint,    -- null: as output
  request_price bigint NOT NULL DEFAULT 0,
  image_price bigint NOT NULL DEFAULT 0,
  second_price bigint NOT NULL DEFAULT 0,
  character_price bigint NOT NULL DEFAULT 0,
  author_id uuid,
  reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (model, version),
  -- 100 000 credits at most, so that no call's cost can leave the range of a bigint.
  CHECK (least(input_price, output_price, cached_input_price, cache_write_price, reasoning_price,
    request_price, image_price, second_price, character_price) >= 0),
  CHECK (greatest(input_price, output_price, cached_input_price, cache_write_price, reasoning_price,
    request_price, image_price, second_price, character_price) <= 100000000000)
);

CREATE FUNCTION price_versions_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'price_versions is append-only';
END $$;
CREATE TRIGGER price_versions_keep BEFORE UPDATE OR DELETE ON price_versions FOR EACH ROW EXECUTE FUNCTION price_versions_are_append_only();
CREATE TRIGGER price_versions_no_truncate BEFORE TRUNCATE ON price_versions FOR EACH STATEMENT EXECUTE FUNCTION price_versions_are_append_only();
ALTER TABLE price_versions ENABLE ALWAYS TRIGGER price_versions_keep;
ALTER TABLE price_versions ENABLE ALWAYS TRIGGER price_versions_no_truncate;

-- Where calls go. Keys and header values are sealed; the base URL is stored without a trailing /v1.
CREATE TABLE providers (
  id uuid PRIMARY KEY,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  base_url text NOT NULL,
  api_keys text[] NOT NULL CHECK (cardinality(api_keys) > 0),
  api_format text NOT NULL DEFAULT 'openai' CHECK (api_format IN ('openai', 'claude', 'dify', 'custom')),
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
  priority integer NOT NULL DEFAULT 0, -- the highest goes first
  weight integer NOT NULL DEFAULT 1 CHECK (weight >= 0),
  timeouts jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(timeouts) = 'object'),
  headers text, -- a sealed JSON object
  header_names text[] NOT NULL DEFAULT '{}',
  config jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(config) = 'object'),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Which models a provider serves, and what they cost there (not what they are sold for).
CREATE TABLE provider_models (
  id uuid PRIMARY KEY,
  provider_id uuid NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
  model_name text NOT NULL CHECK (char_length(model_name) BETWEEN 1 AND 100),
  upstream_model text NOT NULL,
  display_name text,
  input_price bigint CHECK (input_price >= 0),   -- millionths of the currency per 1000 tokens; null: not known
  output_price bigint CHECK (output_price >= 0),
  price_currency text NOT NULL DEFAULT 'CREDITS' CHECK (price_currency IN ('CREDITS', 'CNY', 'USD')),
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX provider_models_name ON provider_models (provider_id, lower(model_name));
