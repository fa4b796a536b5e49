-- Delete heartbeats that still are what they were. ARGV: prefix, then partition and heartbeat of each
for i = 2, #ARGV, 2 do
  if redis.call('HGET', ARGV[1] .. HEARTBEATS, ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', ARGV[1] .. HEARTBEATS, ARGV[i])
  end
end
