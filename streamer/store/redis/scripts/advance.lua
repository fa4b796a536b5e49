-- For scripts that write outside a commit: the sequence moves on and says which documents were written (KEY_BYTES
-- a key), so that no commit passes that read them before.
local function advance(prefix, nonce, keys)
  local sequence = redis.call('INCR', prefix .. SEQUENCE)
  redis.call('ZADD', prefix .. NONCES, sequence, nonce)
  redis.call('HSET', prefix .. WRITES, sequence, keys)
  redis.call('HSET', prefix .. TOUCHED, sequence, '')
  redis.call('HDEL', prefix .. WRITES, sequence - KEPT_WRITES)
  redis.call('HDEL', prefix .. TOUCHED, sequence - KEPT_TOUCHED)
end
