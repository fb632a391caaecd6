/** Sets `ms` and `no`, the clock, by Redis' own time; it never goes back. */
const READ_CLOCK = `
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  local clock = redis.call('HMGET', KEYS[1], 'ms', 'no', 'since')
  local ms, no, since = tonumber(clock[1] or 0), tonumber(clock[2] or 0), tonumber(clock[3] or now)
  if not clock[3] then redis.call('HSET', KEYS[1], 'since', string.format('%.0f', now)) end
  if now > ms then ms, no = now, 0 end
  local function id_of(m, n) return string.format('%.0f-%.0f', m, n) end`;

const KEEP_CLOCK = `redis.call('HSET', KEYS[1], 'ms', string.format('%.0f', ms), 'no', string.format('%.0f', no))`;

/**
 * Writes events to their streams and tells them, in order, each once however often it is sent: ARGV[3] is the number of the first, KEYS[2] keeps
 * how far their process has come. Streams lose what is older than ARGV[1] ms, and the oldest beyond ARGV[2] events, of which the last is noted.
 * For each event a key (its stream) and three arguments: head, rest, and what it is compared with if it is told only when it has changed.
 */
export const PUBLISH = `${READ_CLOCK}
  local keep, most, first = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
  local done = tonumber(redis.call('GET', KEYS[2]) or '-1')
  for i = 3, #KEYS do
    local at, stream = 4 + (i - 3) * 3, KEYS[i]
    local head, rest, known = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local tell = first + i - 3 > done
    if tell and known ~= '' then
      local last = stream .. ':last'
      tell = redis.call('HGET', last, head) ~= known
      redis.call('HSET', last, head, known)
      redis.call('PEXPIRE', last, ARGV[1])
    end
    if tell then
      no = no + 1
      local id = id_of(ms, no)
      redis.call('XADD', stream, 'MINID', '~', id_of(now - keep, 0), id, 'h', head, 'r', rest)
      local length = redis.call('XLEN', stream)
      if length > most then
        local left = math.floor(most * 0.9)
        local gone = redis.call('XRANGE', stream, '-', '+', 'COUNT', length - left)
        redis.call('SET', stream .. ':lost', gone[#gone][1], 'PX', ARGV[1])
        redis.call('XTRIM', stream, 'MAXLEN', left)
      end
      redis.call('PEXPIRE', stream, ARGV[1])
      redis.call('PUBLISH', stream, id .. ' ' .. head .. ' ' .. rest)
    end
  end
  redis.call('SET', KEYS[2], string.format('%.0f', first + #KEYS - 3), 'PX', ARGV[1])
  ${KEEP_CLOCK}
  return 1`;

/**
 * What came behind a cursor (ARGV[1]; '' for now) in streams KEYS[2] and KEYS[3], at most ARGV[2] of each. Answers why something may be missing
 * ('' when nothing is), the position of now, and the events.
 */
export const READ = `${READ_CLOCK}
  local position, cursor, gap = id_of(ms, no), ARGV[1], ''
  ${KEEP_CLOCK}
  if cursor == '' then return {'', position, {}, {}} end
  local function before(a, b)
    local am, an = string.match(a, '(%d+)-(%d+)')
    local bm, bn = string.match(b, '(%d+)-(%d+)')
    if am ~= bm then return tonumber(am) < tonumber(bm) end
    return tonumber(an) < tonumber(bn)
  end
  if before(cursor, id_of(now - ARGV[3], 0)) then gap = 'too_long_ago'
  elseif before(position, cursor) or before(cursor, id_of(since, 0)) then gap = 'lost' end
  for i = 2, 3 do
    local lost = redis.call('GET', KEYS[i] .. ':lost')
    if gap == '' and lost and before(cursor, lost) then gap = 'too_many' end
  end
  if gap ~= '' then return {gap, position, {}, {}} end
  return {gap, position, redis.call('XRANGE', KEYS[2], '(' .. cursor, '+', 'COUNT', ARGV[2]), redis.call('XRANGE', KEYS[3], '(' .. cursor, '+', 'COUNT', ARGV[2])}`;

/** Tells a copy the position of now on its own channel, behind everything that was told before; notes that it lives, and forgets who does not. */
export const BEAT = `${READ_CLOCK}
  ${KEEP_CLOCK}
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
    redis.call('HDEL', KEYS[3], gone)
    redis.call('ZREM', KEYS[2], gone)
  end
  redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[2]), ARGV[1])
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
  redis.call('PEXPIRE', KEYS[3], 3600000)
  redis.call('PUBLISH', KEYS[4], id_of(ms, no))
  return 1`;
