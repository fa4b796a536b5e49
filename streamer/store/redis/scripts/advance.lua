-- For scripts that write outside a commit: the sequence moves on and says which documents were written (13
-- bytes a key), so that no commit passes that read them before.
local function advance(prefix, nonce, keys)
  local sequence = redis.call('INCR', prefix .. 'sequence')
  redis.call('ZADD', prefix .. 'nonces', sequence, nonce)
  redis.call('HSET', prefix .. 'writes', sequence, keys)
  redis.call('HSET', prefix .. 'touched', sequence, '')
  redis.call('HDEL', prefix .. 'writes', sequence - 64)
  redis.call('HDEL', prefix .. 'touched', sequence - 1024)
end
