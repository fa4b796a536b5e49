-- ARGV: prefix, pane, SHA-1 of the merged postings, under which commit to file the new one, that one, and
-- the merged commits, the last of which is that one: a pane that lost all its fields would lose its time to
-- live too. The digest, since the numbers of commits count: after a failover others may bear them
local key, posted = ARGV[1] .. ARGV[2], {}
for i = 6, #ARGV do
  posted[#posted + 1] = redis.call('HGET', key, ARGV[i]) or ''
end
if redis.sha1hex(table.concat(posted)) ~= ARGV[3] then return 0 end
redis.call('HSET', key, ARGV[4], ARGV[5])
for i = 6, #ARGV do
  if ARGV[i] ~= ARGV[4] then redis.call('HDEL', key, ARGV[i]) end
end
return 1
