--[[ queue/ack.lua: acknowledges leases, each with an answer of its own.
  KEYS[1]  unit prefix                                                   "<namespace>:queue:{<name>/<partition>}:"
  Derived  of the unit: l:<profile>; where facets are counted in flight also busy, parked, ring, see queue/track.lua
  ARGV     pairs: lease profile, entry id
  Returns  {"OK", 1 or 0, ...}: 1 acknowledged now; 0 the lease was not held any more (ended, or acknowledged before).
  Flags    allow-oom
  Twice    a repeated call answers 0 and changes nothing. Cost: 1 call, 1 a receipt; 5 more where facets are counted in flight. ]]
local reply, unit = {'OK'}, KEYS[1]

local function acknowledge_tracked()
  -- @include queue/track.lua
  for i = 1, #ARGV, 2 do reply[#reply + 1] = ack_tracked(unit, ARGV[i], ARGV[i + 1]) end
end

if redis.call('EXISTS', unit .. 'busy') == 1 then
  acknowledge_tracked()
else
  for i = 1, #ARGV, 2 do reply[#reply + 1] = redis.call('XDEL', unit .. 'l:' .. ARGV[i], ARGV[i + 1]) end
end
return reply
