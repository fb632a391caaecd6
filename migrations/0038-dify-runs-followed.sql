-- Which call reads a task or run to its end and pays for it. While its hold is open, others of the account may watch for nothing.
ALTER TABLE dify_ids ADD COLUMN call_id uuid;
