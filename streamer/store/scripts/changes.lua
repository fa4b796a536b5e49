-- What changed since a mark, in one consistent step.
-- KEYS[1] any key of the center; ARGV: prefix, sequence (-1: no mark), nonce, cursor, bytes at most
-- returns sequence, nonce, reset, more, cursor, array of family, pane, array of field, value
local prefix, since, nonce, cursor = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local sequence = tonumber(redis.call('GET', prefix .. 'sequence') or '0')
local latest = redis.call('ZRANGE', prefix .. 'nonces', -1, -1)[1] or ''
local reset = since < 0
if since >= 0 and nonce ~= '' then
  local seen = redis.call('ZSCORE', prefix .. 'nonces', nonce)
  reset = not seen or tonumber(seen) < since
elseif since > 0 or cursor > 0 then
  reset = true
end
if reset then since, cursor = 0, 0 end

local panes = {}
for _, family in ipairs({'f', 'l'}) do
  local from = '(' .. string.format('%.0f', math.max(since, cursor))
  local found = redis.call('ZRANGEBYSCORE', prefix .. 'changes:' .. family, from, '+inf', 'WITHSCORES')
  for i = 1, #found, 2 do panes[#panes + 1] = {tonumber(found[i + 1]), family, found[i]} end
end
table.sort(panes, function(a, b) return a[1] < b[1] end)

local out, size, at = {}, 0, 0
for i, pane in ipairs(panes) do
  if size > tonumber(ARGV[5]) and pane[1] ~= at then
    return {since, latest, reset and 1 or 0, 1, at, out}
  end
  at = pane[1]
  local fields, kept = redis.call('HGETALL', prefix .. pane[2] .. ':' .. pane[3]), {}
  for j = 1, #fields, 2 do
    if since == 0 or struct.unpack('>I6', fields[j + 1]) > since then
      kept[#kept + 1] = fields[j]
      kept[#kept + 1] = fields[j + 1]
      size = size + #fields[j] + #fields[j + 1]
    end
  end
  if #kept > 0 then
    out[#out + 1] = pane[2]
    out[#out + 1] = pane[3]
    out[#out + 1] = kept
  end
end
return {sequence, latest, reset and 1 or 0, 0, 0, out}
