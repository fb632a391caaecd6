/** One hash holds all facts, so that a copy reads them with one command. The channel has the same name. */
export const HASH = "tk:routing";
export const leaseKey = (field: string): string => `tk:routing:trial:${field}`;

/** How long a fact is kept after it has ceased to hold, in ms: what is well again must still be told, and a count goes on from it. */
const KEPT_MS = 600_000;

/** Value of a field: version, until when it holds, until when it is kept (ms of Redis's clock), text. The version rises with every write. */
const WRITE = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local version = t[1] * 1000000 + t[2]
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %.0f %.0f %s', version, now + ARGV[2], now + ARGV[2] + ${KEPT_MS}, ARGV[3]))
redis.call('PUBLISH', KEYS[1], string.format('[%s,%.0f,%.0f,%s]', cjson.encode(ARGV[1]), version, ARGV[2], cjson.encode(ARGV[3])))
return version
`;

/** ARGV: field, ms it holds, text. Answers the version. */
export const PUT = WRITE;

/** ARGV: field, ms it holds, text, fields that become void. */
export const FORGET = `
for i = 4, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
${WRITE}`;

/** Answers {field, version, ms it still holds, text} of every fact, and drops those too old. */
export const READ = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local all = redis.call('HGETALL', KEYS[1])
local out = {}
for i = 1, #all, 2 do
  local version, until_ms, kept, text = string.match(all[i + 1], '^(%d+) (%d+) (%d+) (.*)$')
  if not kept or tonumber(kept) < now then redis.call('HDEL', KEYS[1], all[i])
  else out[#out + 1] = {all[i], tonumber(version), math.max(0, tonumber(until_ms) - now), text} end
end
return out
`;

/** ARGV: copy, ms. 1 when this copy holds the lease now, also when it did before. */
export const LEASE = `
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end
return 0
`;

/** ARGV: copy. */
export const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
`;
