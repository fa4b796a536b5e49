-- A document that outlives generations, changed by who read it last. KEYS: it. ARGV: the token it was read
-- with ('' where there was none), the new token, the new value. 1: written; 0: somebody else wrote since
local found = redis.call('GET', KEYS[1])
if (found and string.sub(found, 1, TOKEN_BYTES) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2] .. ARGV[3])
return 1
