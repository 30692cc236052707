--[[ queue/destroy.lua: removes a queue's data, one bounded step a call.
  KEYS[1]  unit prefix; derived: every key of the unit, see queue/unit.lua
  ARGV[1]  how many facets to remove in this step, 1 to 500
  Returns  {"OK", messages removed in this step, facets still there}; call again until none is.
  Flags    allow-oom
  Twice    a repeated call goes on where the last one stopped. Cost: 2 calls a facet. ]]
local call, unit = redis.call, KEYS[1]
local facets = call('LPOP', unit .. 'ring', tonumber(ARGV[1])) or {}
local removed = 0
for i = 1, #facets do
  removed = removed + call('LLEN', unit .. 'f:' .. facets[i])
  call('UNLINK', unit .. 'f:' .. facets[i])
end
local left = call('LLEN', unit .. 'ring')
if left == 0 then
  removed = removed + call('ZCARD', unit .. 'back') + call('ZCARD', unit .. 'later')
  local profiles = call('SMEMBERS', unit .. 'leases')
  for i = 1, #profiles do
    removed = removed + call('XLEN', unit .. 'l:' .. profiles[i])
    call('UNLINK', unit .. 'l:' .. profiles[i])
  end
  for _, part in ipairs({'back', 'later', 'leases', 'dead', 'ids', 'ids.old', 'ids.since'}) do call('UNLINK', unit .. part) end
end
return {'OK', removed, left}
