--[[ queue/destroy.lua: removes a queue's data, one bounded step a call.
  KEYS[1]  unit prefix; derived: every key of the unit, see queue/unit.lua
  ARGV[1]  how many facets, or when none is left leases (20 of a profile), to remove in this step, 1 to 500
  Returns  {"OK", messages and dead letters removed in this step, facets or leases still there}; call again until none is.
  Flags    allow-oom
  Twice    a repeated call goes on where the last one stopped. Cost: 7 calls, 2 a facet; 4 a lease profile, and the size of its leases. ]]
local call, unit = redis.call, KEYS[1]
local step = tonumber(ARGV[1])
local facets = call('LPOP', unit .. 'ring', step) or {}

-- Facets of a queue with policies stand elsewhere too.
local function add_from(part, skip)
  local members = #facets < step and call('ZRANGE', unit .. part, 0, step - #facets - 1) or {}
  if #members > 0 then call('ZREM', unit .. part, unpack(members)) end
  for i = 1, #members do facets[#facets + 1] = string.sub(members[i], skip + 1) end
end
if call('EXISTS', unit .. 'policy') == 1 then
  add_from('fair', 17)
  add_from('parked', 0)
  add_from('throttled', 0)
end
local removed = 0
for i = 1, #facets do
  removed = removed + call('LLEN', unit .. 'f:' .. facets[i])
  call('UNLINK', unit .. 'f:' .. facets[i])
end
local left = call('LLEN', unit .. 'ring')
for _, part in ipairs({'fair', 'parked', 'throttled'}) do left = left + call('ZCARD', unit .. part) end
if left == 0 and #facets < step then
  local profiles = call('SMEMBERS', unit .. 'leases')
  for i = 1, #profiles do
    local stream = unit .. 'l:' .. profiles[i]
    local entries = step > 0 and call('XRANGE', stream, '-', '+', 'COUNT', math.min(step, 20)) or {}
    local ids = {}
    for j = 1, #entries do
      ids[j] = entries[j][1]
      removed = removed + #entries[j][2] / 2 -- a lease may be of several messages
    end
    if #ids > 0 then call('XDEL', stream, unpack(ids)) end
    step = step - #ids
    left = left + call('XLEN', stream)
  end
  if left == 0 then
    removed = removed + call('ZCARD', unit .. 'back') + call('ZCARD', unit .. 'later') + call('XLEN', unit .. 'dead')
    for i = 1, #profiles do call('UNLINK', unit .. 'l:' .. profiles[i]) end
    for _, part in ipairs({'back', 'later', 'delayed', 'promised', 'leases', 'dead', 'ids', 'ids.old', 'ids.since', 'extended',
      'extended.at', 'policy', 'place', 'hold', 'buckets', 'debts', 'busy', 'owner', 'fence', 'members', 'order',
      'dwell'}) do
      call('UNLINK', unit .. part)
    end
  end
elseif left == 0 then
  left = 1 -- the leases come with the next step
end
return {'OK', removed, left}
