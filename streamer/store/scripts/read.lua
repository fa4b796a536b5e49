-- KEYS[1] any key of the center; ARGV: prefix, 13 bytes per key
local keys, found = ARGV[2], {}
for first = 1, #keys, 13 * 500 do
  local names = {}
  for at = first, math.min(first + 13 * 500 - 1, #keys), 13 do
    names[#names + 1] = ARGV[1] .. string.sub(keys, at, at + 12)
  end
  for _, value in ipairs(redis.call('MGET', unpack(names))) do found[#found + 1] = value end
end
return found
