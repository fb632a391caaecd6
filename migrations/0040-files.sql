-- Files: what people upload and what their tasks make. The bytes are in S3; a row is there before the first of them and until the last is gone,
-- so that nothing is stored that no row knows of, whenever a process dies.

CREATE TABLE files (
  id uuid PRIMARY KEY,
  owner_id uuid NOT NULL REFERENCES users (id),
  kind text NOT NULL CHECK (kind IN ('scene', 'asset', 'avatar', 'frame', 'video', 'log')),
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
  content_type text NOT NULL,
  size bigint NOT NULL CHECK (size >= 0),
  sha256 text CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  object_key text NOT NULL UNIQUE,
  -- uploading: declared, bytes may arrive. checking: whole at S3, its sha256 is being read. ready: as declared, never changed again.
  -- rejected: was not what was declared. removing: nobody sees it any more; its bytes go, then the row.
  state text NOT NULL DEFAULT 'uploading' CHECK (state IN ('uploading', 'checking', 'ready', 'rejected', 'removing')),
  upload_id text,
  part_size bigint,
  etag text,
  reason text,
  task_id uuid,
  -- What a task calls it; one ready file each.
  store_key text,
  created_at timestamptz NOT NULL DEFAULT now(),
  ready_at timestamptz,
  -- uploading: how long it may take. rejected, removing: when the row goes.
  due_at timestamptz,
  CHECK (state <> 'ready' OR (etag IS NOT NULL AND ready_at IS NOT NULL)),
  CHECK (state IN ('checking', 'ready') OR due_at IS NOT NULL)
);
CREATE INDEX files_owner ON files (owner_id, id DESC) WHERE state <> 'removing';
CREATE INDEX files_task ON files (task_id) WHERE task_id IS NOT NULL;
CREATE UNIQUE INDEX files_stored ON files (store_key) WHERE state = 'ready';
CREATE INDEX files_due ON files (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX files_checking ON files (created_at) WHERE state = 'checking';

-- What each account stores, kept by the trigger alone. The row is locked by whoever opens an upload, so that no number of them overruns a quota.
CREATE TABLE file_usage (
  owner_id uuid PRIMARY KEY REFERENCES users (id),
  bytes bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),
  files integer NOT NULL DEFAULT 0 CHECK (files >= 0)
);

CREATE FUNCTION file_counts(p_state text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN p_state IN ('uploading', 'checking', 'ready');

CREATE FUNCTION files_count() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  bytes_more bigint := 0;
  files_more integer := 0;
  owner uuid;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    owner := OLD.owner_id;
    IF file_counts(OLD.state) THEN bytes_more := -OLD.size; files_more := -1; END IF;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    owner := NEW.owner_id;
    IF file_counts(NEW.state) THEN bytes_more := bytes_more + NEW.size; files_more := files_more + 1; END IF;
  END IF;
  IF bytes_more <> 0 OR files_more <> 0 THEN
    -- Two steps: what an insert proposes must pass the checks by itself, and what goes is negative.
    INSERT INTO file_usage (owner_id) VALUES (owner) ON CONFLICT DO NOTHING;
    UPDATE file_usage SET bytes = bytes + bytes_more, files = files + files_more WHERE owner_id = owner;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER files_counted AFTER INSERT OR DELETE OR UPDATE OF state, size, owner_id ON files FOR EACH ROW EXECUTE FUNCTION files_count();

-- How far the search for objects that belong to no file has come.
CREATE TABLE file_search (
  name text PRIMARY KEY,
  after text,
  rounds bigint NOT NULL DEFAULT 0
);

-- What the tiers store, unless operators have said so already.
UPDATE tiers SET limits = given.limits || tiers.limits
FROM (VALUES
  ('restricted', '{"storage_bytes": 1073741824, "storage_files": 1000}'::jsonb),
  ('free', '{"storage_bytes": 21474836480, "storage_files": 20000}'),
  ('standard', '{"storage_bytes": 107374182400, "storage_files": 100000}'),
  ('pro', '{"storage_bytes": 1099511627776, "storage_files": 1000000}')
) AS given (name, limits) WHERE tiers.name = given.name;
