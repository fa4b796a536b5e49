-- KEYS[1] any key of the center; ARGV: pane, under which commit to file, posting, and the merged commits
for i = 4, #ARGV do
  if redis.call('HEXISTS', ARGV[1], ARGV[i]) == 0 then return 0 end
end
for i = 4, #ARGV do redis.call('HDEL', ARGV[1], ARGV[i]) end
redis.call('HSET', ARGV[1], ARGV[2], ARGV[3])
return 1
