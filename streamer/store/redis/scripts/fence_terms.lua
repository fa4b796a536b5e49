-- Before a script that writes: does the store still hold what the numbers are counted by? What is missing is
-- written back: the store was emptied, and the positions with it.
-- KEYS[3] the center's own customer key; ARGV[2], ARGV[3] rules and customer key agreed on ('': none)
for key, agreed in pairs({[ARGV[1] .. RULES] = ARGV[2], [KEYS[3]] = ARGV[3]}) do
  if agreed ~= '' then
    local stored = redis.call('GET', key)
    if not stored then
      redis.call('SET', key, agreed)
    elseif stored ~= agreed then
      return redis.error_reply(key == KEYS[3] and 'CUSTOMERKEY' or 'RULES')
    end
  end
end
