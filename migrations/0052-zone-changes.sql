-- The day that counted when a person changed the zone, and until when it still does (src/quotas/zones.ts): else another zone's date would
-- bring another day's spend limit.
ALTER TABLE users ADD COLUMN zone_before jsonb;
