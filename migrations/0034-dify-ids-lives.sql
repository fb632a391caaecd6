-- Nothing that Dify made is known for ever: conversations, messages and files for 400 days after they were last used.
UPDATE dify_ids SET expires_at = created_at + interval '400 days' WHERE expires_at IS NULL;
