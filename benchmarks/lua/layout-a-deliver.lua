--[[ layout-a-deliver.lua: fills what layout-a-pull.lua takes from. KEYS[1] prefix. ARGV pairs of facet and message. ]]
for i = 1, #ARGV, 2 do
  if redis.call('LPUSH', KEYS[1] .. 'f:' .. ARGV[i], ARGV[i + 1]) == 1 then redis.call('LPUSH', KEYS[1] .. 'ring', ARGV[i]) end
end
return 1
