--[[ queue/plan.lua: whose turn it is, included by the scripts that pull and peek.
  The result is the same as pulling one message n times: each turn serves the head of the ring, which then goes to its end. ]]
-- The facets at the head of the ring that have something, with how much each has; facets the ring was wrong about are left out.
local function visit(unit, facets, has_back)
  -- @include queue/ring.lua
  local visited, available = {}, {}
  for i = 1, facets and #facets or 0 do
    local have = call('LLEN', unit .. 'f:' .. facets[i])
    if has_back then have = have + back_count(unit, facets[i]) end
    if have > 0 then
      visited[#visited + 1] = facets[i]
      available[#visited] = have
    end
  end
  return visited, available
end

-- turns: index into visited for each message; quota: messages of each; rest: facets that go back to the ring, in their order.
local function plan(visited, available, n)
  local turns, quota, queue, left = {}, {}, {}, {}
  for i = 1, #visited do queue[i], quota[i], left[i] = i, 0, available[i] end
  local head, tail = 1, #visited
  while #turns < n and head <= tail do
    local f = queue[head]
    head = head + 1
    turns[#turns + 1] = f
    quota[f] = quota[f] + 1
    left[f] = left[f] - 1
    if left[f] > 0 then
      tail = tail + 1
      queue[tail] = f
    end
  end
  local rest = {}
  for i = head, tail do rest[#rest + 1] = visited[queue[i]] end
  return turns, quota, rest
end
