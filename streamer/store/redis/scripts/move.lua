-- ARGV: prefix, rules and customer key, nonce, partition, position before ('': none), position after
local stored = redis.call('HGET', KEYS[1], ARGV[5]) or ''
if stored ~= ARGV[6] then return 0 end
redis.call('HSET', KEYS[1], ARGV[5], ARGV[7])
advance(ARGV[1], ARGV[4], '')
return 1
