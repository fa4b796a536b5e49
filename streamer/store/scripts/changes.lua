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

-- Only the commits' numbers are looked through: a busy hour's postings are megabytes.
local function newer(key)
  local commits, found = {}, {}
  for _, commit in ipairs(redis.call('HKEYS', key)) do
    if struct.unpack('>I6', commit) > since then commits[#commits + 1] = commit end
  end
  for first = 1, #commits, 500 do
    local last = math.min(first + 499, #commits)
    for _, posting in ipairs(redis.call('HMGET', key, unpack(commits, first, last))) do
      if struct.unpack('>I6', posting) <= since then return nil end
      found[#found + 1] = posting
    end
  end
  return found
end

local out, size, at = {}, 0, 0
for i, pane in ipairs(panes) do
  if size > tonumber(ARGV[5]) and pane[1] ~= at then
    return {since, latest, reset and 1 or 0, 1, at, out}
  end
  at = pane[1]
  local key = prefix .. pane[2] .. ':' .. pane[3]
  local kept, whole = cursor == 0 and newer(key), 0
  if not kept then kept, whole = redis.call('HVALS', key), 1 end
  for _, posting in ipairs(kept) do size = size + #posting end
  if #kept > 0 then
    out[#out + 1] = pane[2]
    out[#out + 1] = pane[3]
    out[#out + 1] = whole
    out[#out + 1] = kept
  end
end
return {sequence, latest, reset and 1 or 0, 0, 0, out}
