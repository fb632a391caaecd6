-- Statistics of everybody read hours, not users. Rows come in nearly the order of their hours, so that a summary of each block range is
-- enough; it costs settlement next to nothing.
CREATE INDEX usage_hourly_hour ON usage_hourly USING brin (hour) WITH (pages_per_range = 32, autosummarize = on);
