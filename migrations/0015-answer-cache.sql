-- How long answers to calls of a key are kept, so that the same call again is answered from our own cache. Null: not at all.
ALTER TABLE api_keys ADD COLUMN cache_seconds integer CHECK (cache_seconds BETWEEN 1 AND 2592000);
