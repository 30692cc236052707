--[[ queue/doctor.lua: one step of looking for what must not be, and of repairing it.
  KEYS[1]  unit prefix; derived: every key of the unit, see queue/unit.lua
  ARGV[1]  "scan": ARGV[2] cursor, ARGV[3] glob pattern of the unit's keys, ARGV[4] COUNT
           "facet": ARGV[2] facet
           "back": ARGV[2] offset, ARGV[3] how many
           "profile": ARGV[2] lease profile
           "window": nothing more
  Returns  scan: {"OK", cursor, key, ...}. back: {"OK", members met, facet, ...}. Else {"OK", word}: "FINE", or what was repaired: facet: "MISSING" (had messages, no turn),
           "DOUBLE" (several turns), "IDLE" (a turn, no messages); profile: "UNRECORDED" (leases out of sight);
           window: "ENDLESS" (ids that would be kept for ever)
  Flags    allow-oom
  Twice    a repeated call finds everything fine. Cost: facet O(facets in the ring), scan O(COUNT), else 3 calls. ]]
-- @include queue/ring.lua
local unit, what = KEYS[1], ARGV[1]
if what == 'scan' then
  local page = call('SCAN', ARGV[2], 'MATCH', ARGV[3], 'COUNT', ARGV[4])
  local reply = {'OK', page[1]}
  for i = 1, #page[2] do reply[i + 2] = page[2][i] end
  return reply
end
if what == 'back' then
  local members = call('ZRANGE', unit .. 'back', tonumber(ARGV[2]), ARGV[2] + ARGV[3] - 1)
  local reply, last = {'OK', #members}, nil
  for i = 1, #members do
    local colon = string.find(members[i], ':', 1, true)
    local facet = string.sub(members[i], colon + 1, colon + tonumber(string.sub(members[i], 1, colon - 1)))
    if facet ~= last then reply[#reply + 1] = facet end
    last = facet
  end
  return reply
end
if what == 'profile' then
  local out_of_sight = call('XLEN', unit .. 'l:' .. ARGV[2]) > 0 and call('SADD', unit .. 'leases', ARGV[2]) == 1
  return {'OK', out_of_sight and 'UNRECORDED' or 'FINE'}
end
if what == 'window' then
  local word = 'FINE'
  for _, part in ipairs({'ids', 'ids.old'}) do
    if call('PTTL', unit .. part) == -1 then
      call('PEXPIRE', unit .. part, 86400000)
      word = 'ENDLESS'
    end
  end
  return {'OK', word}
end
local facet = ARGV[2]
local have = call('LLEN', unit .. 'f:' .. facet) + back_count(unit, facet)
local turns = #call('LPOS', unit .. 'ring', facet, 'COUNT', 0)
if have > 0 and turns == 0 then
  enter_ring(unit, facet)
  return {'OK', 'MISSING'}
end
if have > 0 and turns > 1 then
  call('LREM', unit .. 'ring', -(turns - 1), facet)
  return {'OK', 'DOUBLE'}
end
if have == 0 and turns > 0 then
  call('LREM', unit .. 'ring', 0, facet)
  return {'OK', 'IDLE'}
end
return {'OK', 'FINE'}
