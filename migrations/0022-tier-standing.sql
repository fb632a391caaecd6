-- What identity asks of tier rules, in its own statements.

-- The tier of a new account.
CREATE FUNCTION quota_start_tier() RETURNS text LANGUAGE sql STABLE
RETURN coalesce((SELECT rules ->> 'start_tier' FROM tier_rules WHERE version = (SELECT max(version) FROM tier_rules) AND (rules ->> 'enabled')::boolean), 'free');

-- What a user's score leaves of rates and parallel calls, in percent, while rules say that they follow it.
CREATE FUNCTION quota_limit_percent(p_user uuid) RETURNS smallint LANGUAGE sql STABLE
RETURN coalesce((SELECT limit_percent FROM tier_standings WHERE user_id = p_user AND EXISTS (
  SELECT FROM tier_rules WHERE version = (SELECT max(version) FROM tier_rules) AND (rules ->> 'enabled')::boolean AND rules -> 'limits_follow_score' <> 'null'
)), 100::smallint);
