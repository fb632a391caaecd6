-- Figures of the system as they were, from which it is told when one reaches its limit.
CREATE TABLE outlook_samples (
  figure text NOT NULL,
  subject text NOT NULL DEFAULT '',
  at timestamptz NOT NULL,        -- the beginning of a span of five minutes: one sample for all workers
  value double precision NOT NULL,
  "limit" double precision,       -- as it was then
  PRIMARY KEY (figure, subject, at)
);
CREATE INDEX outlook_samples_age ON outlook_samples (at);
