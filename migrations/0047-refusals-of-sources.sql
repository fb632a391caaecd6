-- Refused deliveries of platforms beside Dify: which one was named. Null: of Dify's webhook.
ALTER TABLE dify_refusals ADD COLUMN source text;
