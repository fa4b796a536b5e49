-- May a commit be written? What it finds is held by WATCH until the EXEC that writes.
-- ARGV: prefix, rules and customer key, partition ('': a write outside any), epoch, start, the commit's token
-- in hex, sequence and nonce under which its documents were read, their keys (KEY_BYTES each), and the sequence
-- and nonce of each later read
-- returns 'ok' and the sequence; 'applied'; 'moved' and the position stored, if any; 'held'; or 'changed',
-- sequence, nonce, and the keys written since (left out: all of them)
local prefix, partition = ARGV[1], ARGV[4]

if partition ~= '' then
  local stored = redis.call('HGET', KEYS[1], partition)
  if not stored then return {'moved'} end
  local epoch, start, token = string.match(stored, '^(%w+):(%d+):(%x+):')
  if token == ARGV[7] then return {'applied'} end
  if epoch ~= ARGV[5] or start ~= ARGV[6] then return {'moved', stored} end
  if redis.call('EXISTS', KEYS[2] .. PAUSED_SUFFIX) == 1 then return {'held'} end
end

local sequence = tonumber(redis.call('GET', prefix .. SEQUENCE) or '0')
local latest = redis.call('ZRANGE', prefix .. NONCES, -1, -1)[1] or ''
local since, nonce, reads = tonumber(ARGV[8]), ARGV[9], ARGV[10]
if reads == '' or (since == sequence and nonce == latest and #ARGV == 10) then return {'ok', sequence} end

-- After a failover the number may have come back, but not the nonce.
local function is_known(number, its_nonce)
  if number == 0 and its_nonce == '' then return true end
  return tonumber(redis.call('ZSCORE', prefix .. NONCES, its_nonce) or '-1') == number
end
local known = is_known(since, nonce)
for at = 11, #ARGV, 2 do known = known and is_known(tonumber(ARGV[at]), ARGV[at + 1]) end
if not known or since > sequence or sequence - since > KEPT_WRITES then return {'changed', sequence, latest} end
if since == sequence then return {'ok', sequence} end

local numbers, written = {}, {}
for number = since + 1, sequence do numbers[#numbers + 1] = number end
for _, keys in ipairs(redis.call('HMGET', prefix .. WRITES, unpack(numbers))) do
  if not keys then return {'changed', sequence, latest} end
  for at = 1, #keys, KEY_BYTES do written[string.sub(keys, at, at + KEY_BYTES - 1)] = true end
end
local changed = {}
for at = 1, #reads, KEY_BYTES do
  local key = string.sub(reads, at, at + KEY_BYTES - 1)
  if written[key] then changed[#changed + 1] = key end
end
if #changed > 0 then return {'changed', sequence, latest, changed} end
return {'ok', sequence}
