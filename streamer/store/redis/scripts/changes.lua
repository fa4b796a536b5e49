-- What changed since a cursor, in one consistent step, where that is little.
-- ARGV: prefix, sequence (-1: no cursor), sequence and nonce that must still be known, bytes at most, 1:
-- positions too
-- returns sequence, nonce, reset (what must be known is not), complete, array of pane, whole, numbers of
-- commits (whole: names of deltas), deltas; then heartbeats, rules and positions. Where it is not complete all
-- panes that changed are to be read whole.
local prefix, since, seen, nonce = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local sequence = tonumber(redis.call('GET', prefix .. SEQUENCE) or '0')
local latest = redis.call('ZRANGE', prefix .. NONCES, -1, -1)[1] or ''
local beats, rules = redis.call('HGETALL', prefix .. HEARTBEATS), redis.call('GET', prefix .. RULES)
local positions = ARGV[6] == '1' and redis.call('HGETALL', KEYS[1]) or {}

local function answer(reset, complete, panes)
  return {sequence, latest, reset and 1 or 0, complete and 1 or 0, panes, beats, rules, positions}
end

if since == sequence and nonce == latest then return answer(false, true, {}) end
if since < 0 or seen > sequence then return answer(true, false, {}) end
-- After a failover the number may have come back, but not the nonce.
local score = redis.call('ZSCORE', prefix .. NONCES, nonce) or '0'
if tonumber(score) ~= seen or (seen == 0) ~= (nonce == '') then return answer(true, false, {}) end
if sequence - since > KEPT_TOUCHED then return answer(false, false, {}) end

-- Of each commit the panes that it touched: its delta there bears its number, unless it was merged since.
local numbers, order, touched = {}, {}, {}
for number = since + 1, sequence do numbers[#numbers + 1] = number end
if #numbers > 0 then
  for i, panes in ipairs(redis.call('HMGET', prefix .. TOUCHED, unpack(numbers))) do
    if not panes then return answer(false, false, {}) end
    for pane in string.gmatch(panes, '[^,]+') do
      if not touched[pane] then
        touched[pane] = {}
        order[#order + 1] = pane
      end
      table.insert(touched[pane], numbers[i])
    end
  end
end

local panes, size = {}, 0
for _, pane in ipairs(order) do
  local names, whole = {}, 0
  for i, number in ipairs(touched[pane]) do names[i] = string.rep(struct.pack('>I' .. SEQUENCE_BYTES, number), 2) end
  local deltas = redis.call('HMGET', prefix .. pane, unpack(names))
  for i = 1, #names do
    if not deltas[i] then whole = 1 end
  end
  if whole == 1 then
    touched[pane], deltas = redis.call('HKEYS', prefix .. pane), redis.call('HVALS', prefix .. pane)
  end
  for _, delta in ipairs(deltas) do size = size + #delta end
  if size > tonumber(ARGV[5]) then return answer(false, false, {}) end
  panes[#panes + 1] = pane
  panes[#panes + 1] = whole
  panes[#panes + 1] = touched[pane]
  panes[#panes + 1] = deltas
end
return answer(false, true, panes)
