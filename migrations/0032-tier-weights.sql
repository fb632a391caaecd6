-- What calls of a model count in the quotas of a tier's users, in percent by model. A plan's go before them.
ALTER TABLE tiers ADD COLUMN weights jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(weights) = 'object');
