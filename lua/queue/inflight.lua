--[[ queue/inflight.lua: counts one page of the messages in flight, or held back for later, by facet.
  KEYS[1]  unit prefix; derived: leases, l:<profile>, later              "<namespace>:queue:{<name>/<partition>}:"
  ARGV[1]  lease profile, or "" for the list of profiles, or "later" for messages held back
  ARGV[2]  entry id to go on behind, exclusive, or "-" to begin; for "later" an offset     ARGV[3]  how many entries, 1 to 100
  Returns  for "": {"OK", profile, ...}; else {"OK", cursor to go on with or "", facet, count, oldest epoch ms, ...}
  Twice    reads only. Cost: 1 call, and the size of the page. ]]
-- @include queue/unit.lua
local unit, profile, from, count = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
if profile == '' then
  local profiles = call('SMEMBERS', unit .. 'leases')
  return {'OK', unpack(profiles)}
end
local counts, oldest, order, cursor, met = {}, {}, {}, '', 0
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
    local facet, _, element = parse_member(members[i])
    add(facet, element)
  end
  if #members == count then cursor = tostring(from + count) end
else
  local entries = call('XRANGE', unit .. 'l:' .. profile, from == '-' and '-' or '(' .. from, '+', 'COUNT', count)
  for i = 1, #entries do
    local list = entries[i][2]
    for j = 2, #list, 2 do add(facet_of(list[j]) or '', list[j]) end
  end
  if #entries == count then cursor = entries[#entries][1] end
end
local reply = {'OK', cursor}
for i = 1, #order do
  reply[#reply + 1] = order[i]
  reply[#reply + 1] = counts[order[i]]
  reply[#reply + 1] = oldest[order[i]]
end
return reply
