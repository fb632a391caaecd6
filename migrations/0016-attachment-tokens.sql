-- What pictures, files and videos may cost of a model in tokens, for the holds of calls that bring some along. Null: as usual for its kind.
ALTER TABLE models
  -- The most of one picture.
  ADD COLUMN max_image_tokens integer CHECK (max_image_tokens > 0),
  -- The most of one file whose pages cannot be counted: behind a link, say.
  ADD COLUMN max_file_tokens integer CHECK (max_file_tokens > 0),
  -- Of one second.
  ADD COLUMN video_second_tokens integer CHECK (video_second_tokens > 0);
