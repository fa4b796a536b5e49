-- Before every script of a generation: is the one it is meant for in force?
-- KEYS[1] <prefix>positions, KEYS[2] where the name of the one in force stands; ARGV[1] the prefix
do
  local named = redis.call('GET', KEYS[2]) or FIRST_GENERATION
  if string.match(ARGV[1], '(%x+):$') ~= named then return redis.error_reply('GENERATION ' .. named) end
end
