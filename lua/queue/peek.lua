--[[ queue/peek.lua: the messages that would be pulled next, in that order, left where they are.
  KEYS[1]  unit prefix; derived: ring, back, f:<facet>, what policies need  "<namespace>:queue:{<name>/<partition>}:"
  ARGV[1]  how many at most, 1 to 256
  Returns  {"OK", element or {attempt, element}, ..., weight}; attempt is the one the next pull would be, the last the weights of the
           facets that may be served now.
  Twice    reads only. Cost: 3 calls a facet visited. ]]
-- @include queue/unit.lua
-- @include queue/plan.lua
-- @include queue/fair.lua
-- @include queue/active.lua
local unit, n = KEYS[1], tonumber(ARGV[1])
local has_back = call('EXISTS', unit .. 'back') == 1
local visited, turns, quota
local fair
if call('EXISTS', unit .. 'policy') == 1 then
  local now = now_ms()
  local due = call('ZRANGEBYSCORE', unit .. 'throttled', '-inf', now, 'LIMIT', 0, ARRIVALS) -- as a pull would release them
  fair = select_fair(unit, n, now, has_back, true, due)
end
if fair and not fair.none then
  visited, turns, quota = {}, fair.turns, {}
  for i, info in ipairs(fair.served) do visited[i], quota[i] = info.facet, info.quota end
else
  local facets, available = fair and call('ZRANGE', unit .. 'fair', 0, n - 1) or {}, nil
  for i = 1, #facets do facets[i] = string.sub(facets[i], 18) end -- they go before the others when policies are gone
  for _, facet in ipairs(call('LRANGE', unit .. 'ring', 0, n - 1)) do facets[#facets + 1] = facet end
  visited, available = visit(unit, facets, has_back)
  turns, quota = plan(visited, available, n)
end
local got, from = {}, {}
for i = 1, #visited do
  local facet, list = visited[i], {}
  if has_back then
    local members = call('ZRANGE', unit .. 'back', '[' .. facet_prefix(facet), back_end(facet), 'BYLEX', 'LIMIT', 0, quota[i])
    for j = 1, #members do
      local _, attempts, element = parse_member(members[j])
      list[j] = {attempts + 1, element}
    end
  end
  if quota[i] > #list then
    local fresh = call('LRANGE', unit .. 'f:' .. facet, 0, quota[i] - #list - 1)
    for j = 1, #fresh do list[#list + 1] = fresh[j] end
  end
  got[i], from[i] = list, 0
end
local reply = {'OK'}
for i = 1, #turns do
  from[turns[i]] = from[turns[i]] + 1
  reply[#reply + 1] = got[turns[i]][from[turns[i]]]
end
reply[#reply + 1] = string.format('%.3f', active_share(unit))
return reply
