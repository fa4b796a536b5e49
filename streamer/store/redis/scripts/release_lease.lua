-- KEYS: where the holder stands. ARGV: who gives the lease back, if it was theirs
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
