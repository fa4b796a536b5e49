-- What changed since a mark, in one consistent step.
-- KEYS[1] any key of the center; ARGV: prefix, sequence (-1: no mark), nonce, cursor, bytes at most
-- returns sequence, nonce, reset, more, cursor, array of family, pane, whole, array of postings; a
-- posting is filed under its last commit and begins with its first one: where that is not after the
-- mark, it is a merged one, and the whole pane is returned; as it is in all chunks but the first: a
-- commit may have come meanwhile to a pane that an earlier chunk returned
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
  local posted = redis.call('HGETALL', prefix .. pane[2] .. ':' .. pane[3])
  local new, all, whole = {}, {}, cursor > 0 and 1 or 0
  for j = 1, #posted, 2 do
    all[#all + 1] = posted[j + 1]
    if struct.unpack('>I6', posted[j]) > since then
      new[#new + 1] = posted[j + 1]
      if struct.unpack('>I6', posted[j + 1]) <= since then whole = 1 end
    end
  end
  local kept = whole == 1 and all or new
  for _, posting in ipairs(kept) do size = size + #posting end
  if #kept > 0 then
    out[#out + 1] = pane[2]
    out[#out + 1] = pane[3]
    out[#out + 1] = whole
    out[#out + 1] = kept
  end
end
return {sequence, latest, reset and 1 or 0, 0, 0, out}
