-- Forms that runs wait for belong to whom the run was made for, and say which run goes on when they are answered.
ALTER TABLE dify_ids DROP CONSTRAINT dify_ids_kind_check,
  ADD CONSTRAINT dify_ids_kind_check CHECK (kind IN ('conversation', 'message', 'task', 'run', 'file', 'form')),
  ADD COLUMN run text;               -- of a form
