-- Before every script: is the generation it is meant for the one in force?
-- KEYS[1] <prefix>positions, KEYS[2] where its name stands; ARGV[1] the prefix
do
  local named = redis.call('GET', KEYS[2]) or '0'
  if string.match(ARGV[1], '(%x+):$') ~= named then return redis.error_reply('GENERATION ' .. named) end
end
