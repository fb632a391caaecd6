-- Render nodes: what each has, how much of it is in use, and whether it is to take no new frames. Memory is in MiB.
CREATE TABLE render_nodes (
  name text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
  -- The process that has the name now.
  instance uuid NOT NULL,
  release text,
  engines text[] NOT NULL,
  cores integer NOT NULL,
  memory_mb integer NOT NULL,
  slots integer NOT NULL,
  -- The task queues that it takes from; see src/render/nodes/queues.ts.
  queues text[] NOT NULL,
  frames integer NOT NULL DEFAULT 0,
  memory_used_mb integer NOT NULL DEFAULT 0,
  -- Of the machine, over one minute, for each core.
  load double precision NOT NULL DEFAULT 0,
  -- Set by operators; kept when a node of that name starts again.
  draining boolean NOT NULL DEFAULT false,
  started_at timestamptz NOT NULL DEFAULT now(),
  heartbeat_at timestamptz NOT NULL DEFAULT now(),
  stopped_at timestamptz
) WITH (fillfactor = 50);

-- What a frame of the task may use, and the queue of nodes that have as much; older tasks wait at the queue that their workflow knows.
ALTER TABLE render_tasks ADD COLUMN memory_mb integer NOT NULL DEFAULT 0 CHECK (memory_mb >= 0);
ALTER TABLE render_tasks ADD COLUMN queue text;
