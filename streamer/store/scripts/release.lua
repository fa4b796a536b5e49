-- It is nobody's turn any more, if it was theirs. KEYS: where it stands. ARGV: who says so
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
