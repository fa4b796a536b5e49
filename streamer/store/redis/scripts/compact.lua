-- File one delta in the place of some: if all still are as they were read. Which they are while the nonce
-- still stands at its sequence (no failover came between) and nobody merged them.
-- ARGV: prefix, pane, sequence and nonce under which they were read, name and value of the merged delta, and
-- the names of the merged ones
local key = ARGV[1] .. ARGV[2]
if redis.call('ZSCORE', ARGV[1] .. NONCES, ARGV[4]) ~= ARGV[3] then return 0 end
for i = 7, #ARGV do
  if redis.call('HEXISTS', key, ARGV[i]) == 0 then return 0 end
end
-- The new one first: a pane that lost all its fields would lose its time to live too.
redis.call('HSET', key, ARGV[5], ARGV[6])
for i = 7, #ARGV do
  if ARGV[i] ~= ARGV[5] then redis.call('HDEL', key, ARGV[i]) end
end
return 1
