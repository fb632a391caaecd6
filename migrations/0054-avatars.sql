-- A person's picture: one of his files. A file that is gone shows as none, so nothing refers to it.
ALTER TABLE users ADD COLUMN avatar_file_id uuid;
