-- What engines found when they looked at scenes, so that a task that follows its estimate need not wait again. `key` names what else the
-- check depends on: settings, size, format, range.
CREATE TABLE render_scene_checks (
  file_id uuid NOT NULL,
  engine text NOT NULL,
  key text NOT NULL CHECK (key ~ '^[0-9a-f]{64}$'),
  -- Either a report, or why the scene was refused.
  report jsonb,
  refusal jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (file_id, engine, key),
  CHECK ((report IS NULL) <> (refusal IS NULL))
);
CREATE INDEX render_scene_checks_age ON render_scene_checks (created_at);
