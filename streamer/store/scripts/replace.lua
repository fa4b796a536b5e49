-- Documents are written, nothing is counted. ARGV: prefix, token, reads, ttl, writes (as in commit.lua);
-- returns 0 and has written nothing where one changed since it was read
local prefix, token, reads, writes = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
for at = 1, #reads, 21 do
  local value = redis.call('GET', prefix .. string.sub(reads, at, at + 12))
  local present = value and string.sub(value, 1, 8) or '\0\0\0\0\0\0\0\0'
  if present ~= string.sub(reads, at + 13, at + 20) then return 0 end
end
local from = 1
while from <= #writes do
  local key, value = prefix .. string.sub(writes, from, from + 12), from + 17
  from = value + struct.unpack('>I4', string.sub(writes, from + 13, from + 16))
  if from == value then
    redis.call('DEL', key)
  else
    redis.call('SET', key, token .. string.sub(writes, value, from - 1), 'EX', ARGV[4])
  end
end
return 1
