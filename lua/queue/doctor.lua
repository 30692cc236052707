--[[ queue/doctor.lua: one step of looking for what must not be, and of repairing it.
  KEYS[1]  unit prefix; derived: every key of the unit, see queue/unit.lua
  ARGV[1]  "scan": ARGV[2] cursor, ARGV[3] glob pattern of the unit's keys, ARGV[4] COUNT
           "back": ARGV[2] offset, ARGV[3] how many
           "profile": ARGV[2] lease profile
           "window": nothing more
           "leases": ARGV[2] lease profile, ARGV[3] entry id to go on behind or "-"; looks whether what is in flight counts as such
           "busy": ARGV[2] cursor; looks whether what counts as in flight is so
           "later": ARGV[2] cursor; looks whether delayed deliveries have a time
           "promised": ARGV[2] cursor; looks whether what takes up room will come
           "fair", "place": ARGV[2] cursor; looks whether facets that wait for their turn can be found, and found ones wait
           Where facets stand is looked at by queue/judge.lua.
  Returns  scan: {"OK", cursor, key, ...}. back: {"OK", members met, facet, ...}. All with a cursor: {"OK", cursor, repaired};
           the cursor of leases is "" at the end.
           Else {"OK", word}: "FINE", or what was repaired: profile: "UNRECORDED" (leases out of sight); window: "ENDLESS" (ids that
           would be kept for ever)
  Flags    allow-oom
  Twice    a repeated call finds everything fine. Clock: TIME. Cost: leases about 256 messages, else 3 calls;
           with a cursor 1 to 3 for each of about 100. ]]
-- @include queue/track.lua
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
if what == 'later' then
  local page, repaired = call('HSCAN', unit .. 'delayed', ARGV[2], 'COUNT', 100), 0
  for i = 1, #page[2], 2 do
    if not call('ZSCORE', unit .. 'later', '=' .. page[2][i]) then
      call('ZADD', unit .. 'later', now_ms(), '=' .. page[2][i])
      repaired = repaired + 1
    end
  end
  return {'OK', page[1], repaired}
end
if what == 'leases' then
  if call('HEXISTS', unit .. 'policy', 'track') == 0 then return {'OK', '', 0} end
  local after, added = track_page(unit, ARGV[2], ARGV[3])
  return {'OK', after, added}
end
if what == 'busy' then
  local page, repaired = call('ZSCAN', unit .. 'busy', ARGV[2], 'COUNT', 10), 0 -- each is of a lease that may be large
  for i = 1, #page[2], 2 do
    local profile, id = string.match(page[2][i], '/(%d+%.%d+)/(%d+%-%d+)%.%d+$')
    if not id or #call('XRANGE', unit .. 'l:' .. profile, id, id) == 0 then
      call('ZREM', unit .. 'busy', page[2][i])
      local colon = string.find(page[2][i], ':', 1, true)
      local facet = string.sub(page[2][i], colon + 1, colon + tonumber(string.sub(page[2][i], 1, colon - 1)))
      if call('ZREM', unit .. 'parked', facet) == 1 then enter_ring(unit, facet) end -- no end of a lease will
      repaired = repaired + 1
    end
  end
  return {'OK', page[1], repaired}
end

-- Looks through one page of a set or hash; mends says whether it had to mend something of an element and its score or value.
local function sweep(command, key, count, mends)
  local page, repaired = call(command, unit .. key, ARGV[2], 'COUNT', count), 0
  for i = 1, #page[2], 2 do
    if mends(page[2][i], page[2][i + 1]) then repaired = repaired + 1 end
  end
  return {'OK', page[1], repaired}
end

if what == 'promised' then
  return sweep('ZSCAN', 'promised', 100, function(member)
    local colon = string.find(member, ':', 1, true)
    local id = string.sub(member, colon + 2 + tonumber(string.sub(member, 1, colon - 1)))
    return call('HEXISTS', unit .. 'delayed', id) == 0 and call('ZREM', unit .. 'promised', member) == 1
  end)
end
if what == 'fair' then
  return sweep('ZSCAN', 'fair', 100, function(member)
    local facet = string.sub(member, 18)
    local placed = call('HGET', unit .. 'place', facet)
    if placed == member then return false end
    if placed and call('ZSCORE', unit .. 'fair', placed) then
      call('ZREM', unit .. 'fair', member) -- it waits twice
    else
      call('HSET', unit .. 'place', facet, member)
    end
    return true
  end)
end
return sweep('HSCAN', 'place', 100, function(facet, member)
  return not call('ZSCORE', unit .. 'fair', member) and call('HDEL', unit .. 'place', facet) == 1
end)
