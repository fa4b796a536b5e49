-- Put the generation in the making in force, if it counted exactly what the present one did.
-- KEYS[2] where the present one's name stands, KEYS[3] the new one's; ARGV: prefix, the new one's
-- prefix, 1: even if it counted something else. Plain counters count arrivals, which do not come
-- again: they go over as they are, and with them who is how far.
local new = string.match(ARGV[2], '(%x+):$')
if redis.call('GET', KEYS[3]) ~= new then return redis.error_reply('SUPERSEDED') end

local function reached(prefix)
  local flat, offsets = redis.call('HGETALL', prefix .. 'positions'), {}
  for i = 1, #flat, 2 do
    local offset = string.match(flat[i + 1], '^%w+:(%d+):')
    if offset ~= '0' then offsets[flat[i]] = offset end
  end
  return offsets
end
if ARGV[3] ~= '1' then
  local was, now = reached(ARGV[1]), reached(ARGV[2])
  for partition, offset in pairs(was) do if now[partition] ~= offset then return 0 end end
  for partition, offset in pairs(now) do if was[partition] ~= offset then return 0 end end
end

for _, name in ipairs({'counts', 'beats'}) do
  redis.call('DEL', ARGV[2] .. name)
  if redis.call('EXISTS', ARGV[1] .. name) == 1 then redis.call('COPY', ARGV[1] .. name, ARGV[2] .. name) end
end
redis.call('SET', KEYS[2], new)
redis.call('DEL', KEYS[3], KEYS[2] .. ':held')
return 1
