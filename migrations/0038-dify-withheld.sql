-- What an app made and the guardrail has not let pass: nobody reads it elsewhere. Of a conversation: its name.
ALTER TABLE dify_ids ADD COLUMN withheld boolean;
