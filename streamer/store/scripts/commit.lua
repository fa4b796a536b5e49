-- The one atomic step. Everything is read, compared and computed before the first write:
-- a script that fails half-way is not rolled back.
-- KEYS[1] <prefix>positions; ARGV: prefix, partition, epoch, start, position, token in hex, token,
-- reads (13 bytes key, 8 bytes token, zeros: absent), ttl, oldest fine and long pane that is kept,
-- writes (13 bytes key, 4 bytes length, value; an empty one deletes), then three lists, each behind its
-- length: fine and long panes (number, expire at, posting), counts (name, amount)
local prefix, partition, epoch, start = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local token = ARGV[7]
local CHUNK = 500

local stored = redis.call('HGET', KEYS[1], partition)
if not stored then return {'moved'} end
local at_epoch, at_next, at_token = string.match(stored, '^(%w+):(%d+):(%x+):')
if at_token == ARGV[6] then return {'applied'} end
if at_epoch ~= epoch or at_next ~= start then return {'moved', stored} end
if redis.call('EXISTS', KEYS[2] .. ':held') == 1 then return {'held'} end

local reads, changed = ARGV[8], {}
for first = 1, #reads, 21 * CHUNK do
  local keys, tokens = {}, {}
  for at = first, math.min(first + 21 * CHUNK - 1, #reads), 21 do
    keys[#keys + 1] = prefix .. string.sub(reads, at, at + 12)
    tokens[#tokens + 1] = string.sub(reads, at + 13, at + 20)
  end
  local values = redis.call('MGET', unpack(keys))
  for i = 1, #keys do
    local present = values[i] and string.sub(values[i], 1, 8) or '\0\0\0\0\0\0\0\0'
    if present ~= tokens[i] then changed[#changed + 1] = string.sub(keys[i], #prefix + 1) end
  end
end
if #changed > 0 then return {'changed', changed} end

local sequence = tonumber(redis.call('GET', prefix .. 'sequence') or '0') + 1
local stamp = struct.pack('>I6', sequence)

local at = 13
local function list()
  local first = at + 1
  at = at + tonumber(ARGV[at]) + 1
  return first, at - 1
end

local fine, fine_end = list()
local long, long_end = list()
local counts, counts_end = list()
local swept = {}
if sequence % 16 == 0 then
  for family, oldest in pairs({f = tonumber(ARGV[10]), l = tonumber(ARGV[11])}) do
    for _, number in ipairs(redis.call('ZRANGE', prefix .. 'changes:' .. family, 0, 63)) do
      if tonumber(number) < oldest then swept[#swept + 1] = {family, number} end
    end
  end
end

redis.call('HSET', KEYS[1], partition, ARGV[5])
redis.call('SET', prefix .. 'sequence', sequence)
redis.call('ZADD', prefix .. 'nonces', sequence, token)
redis.call('ZREMRANGEBYSCORE', prefix .. 'nonces', '-inf', sequence - 10000)
local writes, from = ARGV[12], 1
while from <= #writes do
  local key, value = prefix .. string.sub(writes, from, from + 12), from + 17
  from = value + struct.unpack('>I4', string.sub(writes, from + 13, from + 16))
  if from == value then
    redis.call('DEL', key)
  else
    redis.call('SET', key, token .. string.sub(writes, value, from - 1), 'EX', ARGV[9])
  end
end
local function post(family, first, last)
  for i = first, last, 3 do
    local key = prefix .. family .. ':' .. ARGV[i]
    redis.call('HSET', key, stamp, stamp .. ARGV[i + 2])
    redis.call('EXPIREAT', key, ARGV[i + 1])
    redis.call('ZADD', prefix .. 'changes:' .. family, sequence, ARGV[i])
  end
end
post('f', fine, fine_end)
post('l', long, long_end)
for i = counts, counts_end, 2 do redis.call('HINCRBY', prefix .. 'counts', ARGV[i], ARGV[i + 1]) end
for _, pane in ipairs(swept) do redis.call('ZREM', prefix .. 'changes:' .. pane[1], pane[2]) end
return {'applied'}
