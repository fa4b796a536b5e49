-- The one atomic step. Everything is unpacked, read, compared and computed before the first write:
-- a script that fails half-way is not rolled back.
-- KEYS[1] <prefix>positions; ARGV: prefix, partition, epoch, start, position, token in hex, token,
-- reads (13 bytes key, 8 bytes token, zeros: absent), ttl, oldest fine and long pane that is kept, then
-- four lists, each behind its length: writes (key, value; "" deletes), fine and long panes (number,
-- expire at, how many fields, field, tally, ...), counts (name, amount)
local prefix, partition, epoch, start = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local token = ARGV[7]
local CHUNK = 500

local stored = redis.call('HGET', KEYS[1], partition)
if not stored then return {'moved'} end
local at_epoch, at_next, at_token = string.match(stored, '^(%w+):(%d+):(%x+):')
if at_token == ARGV[6] then return {'applied'} end
if at_epoch ~= epoch or at_next ~= start then return {'moved', stored} end

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

-- cmsgpack packs keys 1..n as an array; readers are promised a map
local function pack(tally)
  if next(tally) == nil then return '\128' end
  local packed = cmsgpack.pack(tally)
  local head = string.byte(packed)
  if head < 0x90 or (head > 0x9f and head ~= 0xdc and head ~= 0xdd) then return packed end
  local parts = {#tally < 16 and string.char(0x80 + #tally) or struct.pack('>BI2', 0xde, #tally)}
  for number, amount in ipairs(tally) do parts[#parts + 1] = cmsgpack.pack(number, amount) end
  return table.concat(parts)
end

local function add(old, delta)
  local tally = cmsgpack.unpack(string.sub(old, 7))
  for number, amount in pairs(cmsgpack.unpack(delta)) do
    local sum = (tally[number] or 0) + amount
    if sum == 0 then tally[number] = nil else tally[number] = sum end
  end
  return pack(tally)
end

local at = 12
local function list()
  local first = at + 1
  at = at + tonumber(ARGV[at]) + 1
  return first, at - 1
end

local sets = {}
local function plan(family)
  local i, last = list()
  while i <= last do
    local key = prefix .. family .. ':' .. ARGV[i]
    local planned = {key = key, family = family, number = ARGV[i], expire = ARGV[i + 1], chunks = {}}
    local first, stop = i + 3, i + 2 + 2 * tonumber(ARGV[i + 2])
    for from = first, stop, 2 * CHUNK do
      local names, chunk = {}, {}
      for field = from, math.min(from + 2 * CHUNK - 1, stop), 2 do names[#names + 1] = ARGV[field] end
      local present = redis.call('HMGET', key, unpack(names))
      for n, name in ipairs(names) do
        local delta = ARGV[from + 2 * n - 1]
        chunk[2 * n - 1] = name
        chunk[2 * n] = stamp .. (present[n] and add(present[n], delta) or delta)
      end
      planned.chunks[#planned.chunks + 1] = chunk
    end
    sets[#sets + 1] = planned
    i = stop + 1
  end
end
local writes, writes_end = list()
plan('f')
plan('l')
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
for i = writes, writes_end, 2 do
  if ARGV[i + 1] == '' then
    redis.call('DEL', prefix .. ARGV[i])
  else
    redis.call('SET', prefix .. ARGV[i], token .. ARGV[i + 1], 'EX', ARGV[9])
  end
end
for _, pane in ipairs(sets) do
  for _, chunk in ipairs(pane.chunks) do redis.call('HSET', pane.key, unpack(chunk)) end
  redis.call('EXPIREAT', pane.key, pane.expire)
  redis.call('ZADD', prefix .. 'changes:' .. pane.family, sequence, pane.number)
end
for i = counts, counts_end, 2 do redis.call('HINCRBY', prefix .. 'counts', ARGV[i], ARGV[i + 1]) end
for _, pane in ipairs(swept) do redis.call('ZREM', prefix .. 'changes:' .. pane[1], pane[2]) end
return {'applied'}
