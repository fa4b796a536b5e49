-- One command on one key. ARGV: prefix, command, key after the prefix, what else the command takes
return redis.call(ARGV[2], ARGV[1] .. ARGV[3], unpack(ARGV, 4))
