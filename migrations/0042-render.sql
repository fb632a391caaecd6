-- Render tasks, their frames, logs and prices. Amounts are micro-credits. Frames are numbered as in the scene.

-- What rendering costs, in versions; the newest of an engine counts for tasks made from then on. A frame costs
--   (per_frame + per_megasample * width * height * samples / 1e6 + per_second * seconds) * factor of the priority in percent,
-- rounded up once. See src/render/prices/price.ts.
CREATE TABLE render_prices (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  engine text NOT NULL CHECK (engine ~ '^[a-z][a-z0-9_-]{0,31}$'),
  version integer NOT NULL CHECK (version > 0),
  per_frame bigint NOT NULL CHECK (per_frame >= 0),
  per_megasample bigint NOT NULL CHECK (per_megasample >= 0),
  per_second bigint NOT NULL CHECK (per_second >= 0),
  low_percent integer NOT NULL CHECK (low_percent BETWEEN 1 AND 10000),
  normal_percent integer NOT NULL CHECK (normal_percent BETWEEN 1 AND 10000),
  high_percent integer NOT NULL CHECK (high_percent BETWEEN 1 AND 10000),
  author_id uuid REFERENCES users (id),
  reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (engine, version)
);
CREATE TRIGGER render_prices_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON render_prices FOR EACH STATEMENT
  EXECUTE FUNCTION ledger_refuse('prices change by a new version');
INSERT INTO render_prices (engine, version, per_frame, per_megasample, per_second, low_percent, normal_percent, high_percent, reason) VALUES
  ('simulate', 1, 10000, 100, 10000, 80, 100, 150, 'First prices'),
  ('blender', 1, 50000, 500, 20000, 80, 100, 150, 'First prices'),
  ('maya', 1, 50000, 500, 40000, 80, 100, 150, 'First prices');

CREATE TABLE render_tasks (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users (id),
  wallet_id bigint NOT NULL,
  -- The caller's Idempotency-Key: the same key finds the same task, also after a crash.
  request_key text,
  name text NOT NULL,
  engine text NOT NULL,
  scene_file_id uuid,
  settings jsonb NOT NULL,
  frame_start integer NOT NULL,
  frame_end integer NOT NULL CHECK (frame_end >= frame_start),
  frame_step integer NOT NULL CHECK (frame_step > 0),
  width integer NOT NULL CHECK (width > 0),
  height integer NOT NULL CHECK (height > 0),
  samples integer NOT NULL CHECK (samples > 0),
  output_format text NOT NULL,
  priority text NOT NULL CHECK (priority IN ('low', 'normal', 'high')),
  -- Of the owner's tier when the task was made.
  parallel integer NOT NULL CHECK (parallel > 0),
  callback_url text,
  -- Sealed.
  callback_secret text,
  state text NOT NULL DEFAULT 'pending'
    CHECK (state IN ('pending', 'queued', 'preparing', 'rendering', 'paused', 'completed', 'failed', 'cancelled')),
  -- Why it is in this state, where that is not plain: a code such as insufficient_balance, and a sentence.
  reason text,
  reason_message text,
  price_id bigint NOT NULL REFERENCES render_prices (id),
  -- What a frame was expected to take and cost when the task was made.
  frame_seconds double precision NOT NULL CHECK (frame_seconds >= 0),
  frame_estimate bigint NOT NULL CHECK (frame_estimate >= 0),
  estimated_cost bigint NOT NULL CHECK (estimated_cost >= 0),
  cost bigint NOT NULL DEFAULT 0 CHECK (cost >= 0),
  -- The open hold; each settled frame makes another. Null once the task is over.
  hold_id uuid,
  renewed_at timestamptz NOT NULL DEFAULT now(),
  total_frames integer NOT NULL CHECK (total_frames > 0),
  done_frames integer NOT NULL DEFAULT 0 CHECK (done_frames BETWEEN 0 AND total_frames),
  current_frame integer,
  -- Changes of state so far: tells a newer answer from an older one.
  revision integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  ended_at timestamptz,
  CHECK ((ended_at IS NOT NULL) = (state IN ('completed', 'failed', 'cancelled'))),
  CHECK ((hold_id IS NULL) = (state IN ('completed', 'failed', 'cancelled')))
);
CREATE UNIQUE INDEX render_tasks_request ON render_tasks (user_id, request_key) WHERE request_key IS NOT NULL;
CREATE INDEX render_tasks_user ON render_tasks (user_id, created_at DESC, id DESC);
CREATE INDEX render_tasks_open ON render_tasks (user_id) WHERE ended_at IS NULL;
CREATE INDEX render_tasks_holds ON render_tasks (renewed_at) WHERE ended_at IS NULL;
CREATE INDEX render_tasks_pending ON render_tasks (created_at) WHERE state = 'pending';

-- One row per frame from when its rendering first began. `rendered`: its picture is stored, its cost is not charged yet.
CREATE TABLE render_frames (
  task_id uuid NOT NULL REFERENCES render_tasks (id) ON DELETE CASCADE,
  frame integer NOT NULL,
  status text NOT NULL DEFAULT 'rendering' CHECK (status IN ('rendering', 'rendered', 'completed', 'failed')),
  -- Tries that failed for a reason of the engine's, and tries that began.
  failures integer NOT NULL DEFAULT 0,
  attempts integer NOT NULL DEFAULT 0,
  seconds double precision,
  file_id uuid,
  cost bigint,
  error text,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (task_id, frame),
  CHECK ((cost IS NOT NULL) = (status = 'completed')),
  CHECK (status NOT IN ('rendered', 'completed') OR (file_id IS NOT NULL AND seconds IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX render_frames_unpaid ON render_frames (task_id, frame) WHERE status = 'rendered';

-- Every change of state, in order.
CREATE TABLE render_changes (
  task_id uuid NOT NULL REFERENCES render_tasks (id) ON DELETE CASCADE,
  no integer NOT NULL,
  from_state text NOT NULL,
  to_state text NOT NULL,
  reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (task_id, no)
);

CREATE TABLE render_logs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task_id uuid NOT NULL REFERENCES render_tasks (id) ON DELETE CASCADE,
  level text NOT NULL CHECK (level IN ('debug', 'info', 'warn', 'error')),
  message text NOT NULL,
  frame integer,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX render_logs_task ON render_logs (task_id, id);

-- What was sent, or is to be sent, to a task's callback URL when it ends.
CREATE TABLE render_callbacks (
  id uuid PRIMARY KEY,
  task_id uuid NOT NULL UNIQUE REFERENCES render_tasks (id) ON DELETE CASCADE,
  body text NOT NULL,
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
  attempts integer NOT NULL DEFAULT 0,
  last_status integer,
  last_error text,
  next_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz
);
CREATE INDEX render_callbacks_due ON render_callbacks (next_at) WHERE state = 'pending';

-- How long frames take, by engine and work: the basis of estimates when nobody else can say.
CREATE TABLE render_speeds (
  engine text PRIMARY KEY,
  frames bigint NOT NULL DEFAULT 0,
  megasamples double precision NOT NULL DEFAULT 0,
  seconds double precision NOT NULL DEFAULT 0
);

-- What tiers allow in rendering; what one does not say is the default of src/render/limits.ts.
UPDATE tiers SET limits = '{"render_tasks": 1, "render_frames": 100, "render_pixels": 2073600, "render_parallel": 1, "render_priority": "low"}' || limits
  WHERE name = 'restricted';
UPDATE tiers SET limits = '{"render_tasks": 20, "render_frames": 1000, "render_pixels": 8294400, "render_parallel": 2, "render_priority": "normal"}' || limits
  WHERE name = 'free';
UPDATE tiers SET limits = '{"render_tasks": 100, "render_frames": 10000, "render_pixels": 33177600, "render_parallel": 4, "render_priority": "normal"}' || limits
  WHERE name = 'standard';
UPDATE tiers SET limits = '{"render_tasks": 1000, "render_frames": 100000, "render_pixels": 67108864, "render_parallel": 16, "render_priority": "high"}' || limits
  WHERE name = 'pro';
