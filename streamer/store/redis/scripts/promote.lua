-- Put the staged generation in force, if it counted exactly what the present one did.
-- KEYS[2] where the present one's name stands, KEYS[3] the staged one's; ARGV: prefix, the staged one's
-- prefix, partitions that no longer exist and are left out. Counters count arrivals, which do not come again:
-- they go over as they are, and with them who is how far.
local new = string.match(ARGV[2], '(%x+):$')
if redis.call('GET', KEYS[3]) ~= new then return redis.error_reply('SUPERSEDED') end

local gone = {}
for i = 3, #ARGV do gone[ARGV[i]] = true end

local function reached(prefix)
  local flat, offsets = redis.call('HGETALL', prefix .. POSITIONS), {}
  for i = 1, #flat, 2 do
    local offset = string.match(flat[i + 1], '^%w+:(%d+):')
    if offset ~= '0' and not gone[flat[i]] then offsets[flat[i]] = offset end
  end
  return offsets
end
local was, now = reached(ARGV[1]), reached(ARGV[2])
for partition, offset in pairs(was) do if now[partition] ~= offset then return 0 end end
for partition, offset in pairs(now) do if was[partition] ~= offset then return 0 end end

-- In their order, under a number that no commit has: those of the former generation may come again.
local names = redis.call('HKEYS', ARGV[1] .. COUNTERS_PANE)
table.sort(names)
redis.call('DEL', ARGV[2] .. COUNTERS_PANE, ARGV[2] .. HEARTBEATS)
for i, name in ipairs(names) do
  local copied = string.rep('\0', SEQUENCE_BYTES) .. struct.pack('>I' .. SEQUENCE_BYTES, i)
  redis.call('HSET', ARGV[2] .. COUNTERS_PANE, copied, redis.call('HGET', ARGV[1] .. COUNTERS_PANE, name))
end
if #names > 0 then
  redis.call('ZADD', ARGV[2] .. CHANGES, redis.call('GET', ARGV[2] .. SEQUENCE) or 1, COUNTERS_PANE)
end
if redis.call('EXISTS', ARGV[1] .. HEARTBEATS) == 1 then
  redis.call('COPY', ARGV[1] .. HEARTBEATS, ARGV[2] .. HEARTBEATS)
end
redis.call('SET', KEYS[2], new)
redis.call('DEL', KEYS[3], KEYS[2] .. PAUSED_SUFFIX)
return 1
