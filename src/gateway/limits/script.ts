import { LEASE_MS } from "./types.ts";
import { WINDOW_MS } from "./window.ts";

/** Keys carry the user as hash tag, so that all of one call's keys live on one node of a cluster. */
export const rateKey = (userId: string, keyId?: string): string => `tk:{u:${userId}}:rate${keyId === undefined ? "" : `:${keyId}`}`;
export const permitsKey = (userId: string, keyId?: string): string => `tk:{u:${userId}}:permits${keyId === undefined ? "" : `:${keyId}`}`;

/**
 * KEYS: rate of user, rate of key, permits of user, permits of key.
 * ARGV: limit a minute of user and of key, parallel calls of user and of key (0 = no limit), call id ("" = no permit wanted).
 * Answers {reason, limit, remaining, reset ms, retry ms}; reason 0 allowed, 1 and 2 rate of user and key, 3 and 4 parallel.
 * Nothing is written unless everything allows the call. The clock is Redis's own: copies need not agree on the time.
 */
export const ADMIT = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local W = ${WINDOW_MS}
local limit, remaining, reset = 0, -1, 0
local writes = {}
for i = 1, 2 do
  local max = tonumber(ARGV[i])
  if max > 0 then
    local start, current, previous = now, 0, 0
    local saved = redis.call('GET', KEYS[i])
    if saved then
      local a, b, c = string.match(saved, '(%d+) (%d+) (%d+)')
      start, current, previous = tonumber(a), tonumber(b), tonumber(c)
      local elapsed = now - start
      if elapsed < 0 or elapsed >= 2 * W then start, current, previous = now, 0, 0
      elseif elapsed >= W then start, current, previous = start + W, 0, current end
    end
    local elapsed = now - start
    local left = W - elapsed
    local used = math.ceil(previous * left / W) + current
    if used >= max then
      local room = max - 1 - current
      local wait
      if room >= 0 then wait = math.max(1, math.ceil(W * (1 - room / previous)) - elapsed)
      else wait = left + math.ceil(W * (1 - (max - 1) / current)) end
      return {i, max, 0, left, wait}
    end
    if remaining < 0 or max - used - 1 < remaining then limit, remaining, reset = max, max - used - 1, left end
    writes[#writes + 1] = {KEYS[i], string.format('%d %d %d', start, current + 1, previous), start + 2 * W - now}
  end
end
if ARGV[5] ~= '' then
  for i = 3, 4 do
    local max = tonumber(ARGV[i])
    if max > 0 then
      redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
      if redis.call('ZCARD', KEYS[i]) >= max then
        return {i, limit, math.max(remaining + 1, 0), reset, 0}
      end
    end
  end
  for i = 3, 4 do
    if tonumber(ARGV[i]) > 0 then
      redis.call('ZADD', KEYS[i], now + ${LEASE_MS}, ARGV[5])
      redis.call('PEXPIRE', KEYS[i], ${LEASE_MS * 2})
    end
  end
end
for _, w in ipairs(writes) do redis.call('SET', w[1], w[2], 'PX', w[3]) end
return {0, limit, remaining, reset, 0}
`;

/** KEYS: sorted sets of permits. ARGV: call id. */
export const RELEASE = `
for i = 1, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
return 0
`;

/** KEYS: one sorted set of permits. ARGV: call ids. Also puts back permits that a restarted Redis has forgotten. */
export const RENEW = `
local t = redis.call('TIME')
local until_ms = t[1] * 1000 + math.floor(t[2] / 1000) + ${LEASE_MS}
for i = 1, #ARGV do redis.call('ZADD', KEYS[1], until_ms, ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ${LEASE_MS * 2})
return 0
`;
