-- KEYS[1] <prefix>positions; ARGV: prefix, partition, position before ("": none), position after
local stored = redis.call('HGET', KEYS[1], ARGV[2]) or ''
if stored ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
return 1
