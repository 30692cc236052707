--[[ queue/facets.lua: one page of the facets with waiting messages, in the order of their turns.
  KEYS[1]  unit prefix; derived: ring, fair, parked, throttled, back, f:<facet>  "<namespace>:queue:{<name>/<partition>}:"
  ARGV[1]  offset     ARGV[2]  how many facets, 1 to 500     ARGV[3]  where: "ring", or in a queue with policies "fair", then "ring", then
           "parked" and "throttled"
  Returns  {"OK", facets there in all, 1 if the queue has policies, then for each: facet, waiting, epoch ms the oldest was delivered}
  Twice    reads only. Pages are not one snapshot: while messages are pulled a facet may be met twice or not at all.
  Cost     2 calls a facet, 2 more if messages came back. ]]
-- @include queue/unit.lua
local unit, from, count, where = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local has_back = call('EXISTS', unit .. 'back') == 1
local ring = where == 'ring'
local reply = {'OK', call(ring and 'LLEN' or 'ZCARD', unit .. where), call('EXISTS', unit .. 'policy')}
local facets = call(ring and 'LRANGE' or 'ZRANGE', unit .. where, from, from + count - 1)
for i = 1, #facets do
  local facet = where == 'fair' and string.sub(facets[i], 18) or facets[i]
  local waiting, oldest = call('LLEN', unit .. 'f:' .. facet), nil
  local head = call('LINDEX', unit .. 'f:' .. facet, 0)
  if head then oldest = delivered_at(head) end
  if has_back then
    local member = call('ZRANGE', unit .. 'back', '[' .. facet_prefix(facet), back_end(facet), 'BYLEX', 'LIMIT', 0, 1)[1]
    if member then
      waiting = waiting + back_count(unit, facet)
      local _, _, element = parse_member(member)
      oldest = math.min(oldest or math.huge, delivered_at(element))
    end
  end
  reply[#reply + 1] = facet
  reply[#reply + 1] = waiting
  reply[#reply + 1] = oldest or 0
end
return reply
