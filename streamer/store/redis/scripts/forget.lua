-- Delete documents that were last written before a time, and panes that lapsed: some at each call.
-- ARGV: prefix, nonce, hash, cursor, how many to look at, time (s), oldest fine and long hour that is kept,
-- how many panes to pass over
-- returns the next cursor (0: this hash is through), how many documents were deleted, and how many panes to
-- pass over next (0: all are through)
local found = redis.call('HSCAN', ARGV[1] .. ARGV[3], ARGV[4], 'COUNT', ARGV[5])
local old, limit = {}, tonumber(ARGV[6])
for i = 1, #found[2], 2 do
  if struct.unpack('>I' .. WRITE_TIME_BYTES, found[2][i + 1]) < limit then old[#old + 1] = found[2][i] end
end
for first = 1, #old, 500 do
  redis.call('HDEL', ARGV[1] .. ARGV[3], unpack(old, first, math.min(first + 499, #old)))
end
if #old > 0 then advance(ARGV[1], ARGV[2], table.concat(old)) end

local fine, long, kept = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local oldest = {[FINE] = fine, [TIME] = fine, [LONG] = long, [COUNTERS] = 0, [LIVE] = 0}
local panes = redis.call('ZRANGE', ARGV[1] .. CHANGES, kept, kept + 63)
for _, pane in ipairs(panes) do
  local family, hour = string.match(pane, '^(%a):(%d+)$')
  if tonumber(hour) < oldest[family] then
    redis.call('ZREM', ARGV[1] .. CHANGES, pane)
    redis.call('UNLINK', ARGV[1] .. pane)
  else
    kept = kept + 1
  end
end
return {tonumber(found[1]), #old, #panes < 64 and 0 or kept}
