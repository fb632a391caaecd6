import { MINUTE_MS, SECOND_MS, SKEW_MS } from "./window.ts";

/** Counters of calls at once outlive their last renewal by this, so that what a dead copy left does not stay for ever. */
const SETS_TTL_MS = 600_000;

const CLOCK = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`;

/** As in window.ts; a window is its start, current and previous, and how much of it is over. */
const WINDOWS = `
local function roll(start, current, previous, W)
  local elapsed = now - start
  local counted = current
  if elapsed < W then counted = current + previous elseif previous == 0 then counted = current - 1 end
  if elapsed < -${SKEW_MS} or elapsed >= 2 * W or counted <= 0 then return now, 0, 0, 0 end
  if elapsed >= W then return start + W, 0, counted, elapsed - W end
  return start, current, previous, math.max(0, elapsed)
end
local function window(key, W)
  local saved = redis.call('GET', key)
  if not saved then return now, 0, 0, 0 end
  local start, current, previous = string.match(saved, '(%d+) (%d+) (%d+)')
  return roll(tonumber(start), tonumber(current), tonumber(previous), W)
end
local function save(key, W, start, current, previous)
  redis.call('SET', key, string.format('%d %d %d', start, current, previous), 'PX', math.max(1, start + 2 * W - now))
end
`;

/**
 * KEYS: one counter for each check, rates first.
 * ARGV: call id; the checks' kinds as letters (s requests a second, r requests a minute, t tokens a minute, p calls at once; a capital
 * only looks); then for each check its limit, and for tokens how many are asked for.
 * Answers {0 allowed or 1 refused, the time, then for each rate start, current and previous of its window before the call, then for each
 * counter of calls at once how many run}; the last only as far as it was asked. Who refuses, and for how long, follows from these.
 * Nothing is counted unless everything allows the call. The clock is Redis's own: copies need not agree on the time.
 */
export const admitScript = (leaseMs: number): string => `
${CLOCK}${WINDOWS}
local shape = ARGV[2]
local reply = {0, now}
local size, arg = 2, 2
local refused = false
local writes
for i = 1, #KEYS do
  local letter = string.byte(shape, i)
  local shadow = letter < 97
  if shadow then letter = letter + 32 end
  arg = arg + 1
  local max = tonumber(ARGV[arg])
  if letter == 112 then
    if refused then break end
    local running = redis.call('ZCARD', KEYS[i])
    if running >= max then
      redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
      running = redis.call('ZCARD', KEYS[i])
    end
    size = size + 1
    reply[size] = running
    if running >= max then
      if not shadow then refused = true end
    else
      writes = {writes, i, running}
    end
  else
    local amount, W = 1, ${MINUTE_MS}
    if letter == 116 then
      arg = arg + 1
      amount = tonumber(ARGV[arg])
    elseif letter == 115 then
      W = ${SECOND_MS}
    end
    local start, current, previous, elapsed = window(KEYS[i], W)
    reply[size + 1], reply[size + 2], reply[size + 3] = start, current, previous
    size = size + 3
    if math.ceil(previous * (W - elapsed) / W) + current + amount > max then
      if not shadow then refused = true end
    else
      writes = {writes, i, W, start, current + amount, previous}
    end
  end
end
if refused then
  reply[1] = 1
  return reply
end
while writes do
  local key = KEYS[writes[2]]
  if writes[4] then
    save(key, writes[3], writes[4], writes[5], writes[6])
  else
    redis.call('ZADD', key, now + ${leaseMs}, ARGV[1])
    if writes[3] == 0 then redis.call('PEXPIRE', key, ${SETS_TTL_MS}) end
  end
  writes = writes[1]
end
return reply
`;

/**
 * KEYS: token counters, then counters of calls at once. ARGV: call id, number of token counters, then for each the start of the window
 * that was counted in and what to add, which may be negative. Does as `correct` in window.ts.
 */
export const RELEASE = `
${CLOCK}${WINDOWS}
local W = ${MINUTE_MS}
local rates = tonumber(ARGV[2])
for i = 1, rates do
  local from, by = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  local start, current, previous = window(KEYS[i], W)
  if by > 0 or start == from then save(KEYS[i], W, start, math.max(0, current + by), previous)
  elseif start == from + W then save(KEYS[i], W, start, current, math.max(0, previous + by)) end
end
for i = rates + 1, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
return 0
`;

/**
 * KEYS: requests a minute. ARGV: how many to count in each, whatever its limit. Answers the time, then for each start, current and previous
 * of its window.
 */
export const COUNT = `
${CLOCK}${WINDOWS}
local W = ${MINUTE_MS}
local reply = {now}
for i = 1, #KEYS do
  local start, current, previous = window(KEYS[i], W)
  current = current + tonumber(ARGV[i])
  save(KEYS[i], W, start, current, previous)
  reply[3 * i - 1], reply[3 * i], reply[3 * i + 1] = start, current, previous
end
return reply
`;

/** KEYS: one counter of calls at once. ARGV: call ids. Also puts back permits that a restarted Redis has forgotten. */
export const renewScript = (leaseMs: number): string => `
${CLOCK}
local expires = now + ${leaseMs}
local args = {}
for i = 1, #ARGV do
  args[2 * i - 1] = expires
  args[2 * i] = ARGV[i]
end
redis.call('ZADD', KEYS[1], unpack(args))
redis.call('PEXPIRE', KEYS[1], ${SETS_TTL_MS})
return 0
`;

/** KEYS: rates. ARGV: for each its length, start, current and previous, as another has seen it. Does as `merge` in window.ts. */
export const TELL = `
${CLOCK}${WINDOWS}
for i = 1, #KEYS do
  local W = tonumber(ARGV[4 * i - 3])
  local start, current, previous = roll(tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i]), W)
  if current + previous > 0 then
    local known, counted, before = window(KEYS[i], W)
    if counted + before == 0 or known == start then
      save(KEYS[i], W, start, math.max(current, counted), math.max(previous, before))
    else
      save(KEYS[i], W, math.max(start, known), current + counted, math.max(previous, before))
    end
  end
end
return 0
`;
