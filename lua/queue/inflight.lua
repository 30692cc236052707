--[[ queue/inflight.lua: counts one page of the messages in flight, or held back for later, by facet.
  KEYS[1]  unit prefix; derived: leases, l:<profile>, later, delayed     "<namespace>:queue:{<name>/<partition>}:"
  ARGV[1]  lease profile, or "" for the list of profiles, or "later" for messages held back
  ARGV[2]  entry id to go on behind, exclusive, or "-" to begin; for "later" an offset     ARGV[3]  about how many messages, 1 to 500
  Returns  for "": {"OK", profile, ...}; else {"OK", cursor to go on with or "", facet, count, oldest epoch ms, ...}
  Twice    reads only. Cost: 1 call for 4 leases, and the size of the page. ]]
-- @include queue/unit.lua
-- @include queue/delayed.lua
local unit, profile, from, count = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
if profile == '' then
  local reply, profiles = {'OK'}, call('SMEMBERS', unit .. 'leases')
  for i = 1, #profiles do reply[i + 1] = profiles[i] end
  return reply
end
local counts, oldest, order, cursor = {}, {}, {}, ''
local function add(facet, element)
  if not counts[facet] then
    counts[facet], oldest[facet] = 0, math.huge
    order[#order + 1] = facet
  end
  counts[facet] = counts[facet] + 1
  oldest[facet] = math.min(oldest[facet], delivered_at(element))
end
if profile == 'later' then
  local members = call('ZRANGE', unit .. 'later', tonumber(from), from + count - 1)
  for i = 1, #members do
    if string.byte(members[i]) == 61 then -- "=", a delayed delivery
      local stored = call('HGET', unit .. 'delayed', string.sub(members[i], 2)) or '0:'
      local _, element = parse_delayed(stored)
      add(facet_of(element) or '', element)
    else
      local facet, _, element = parse_member(members[i])
      add(facet, element)
    end
  end
  if #members == count then cursor = tostring(from + count) end
else
  local after, met = from, 0
  repeat
    local entries = call('XRANGE', unit .. 'l:' .. profile, after == '-' and '-' or '(' .. after, '+', 'COUNT', 4)
    for i = 1, #entries do
      after = entries[i][1]
      local list = entries[i][2]
      met = met + #list / 2
      for j = 2, #list, 2 do add(facet_of(list[j]) or '', list[j]) end
    end
    cursor = #entries > 0 and after or ''
  until met >= count or #entries == 0
end
local reply = {'OK', cursor}
for i = 1, #order do
  reply[#reply + 1] = order[i]
  reply[#reply + 1] = counts[order[i]]
  reply[#reply + 1] = oldest[order[i]]
end
return reply
