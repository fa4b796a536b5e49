-- ARGV: prefix, nonce, partition, position before ('': none), position after
local stored = redis.call('HGET', KEYS[1], ARGV[3]) or ''
if stored ~= ARGV[4] then return 0 end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[5])
advance(ARGV[1], ARGV[2], '')
return 1
