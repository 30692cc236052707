--[[ queue/fair.lua: whose turn it is in a queue with weights, caps, rates or pauses; included by the scripts that pull and peek.
  Self-clocked fair queueing (Golestani 1994): a facet waits in "fair" under the virtual time at which its next message will be done,
  the time of the last one served plus cost/weight; the smallest goes first, ties in the order of arrival. With equal weights that
  is the plain ring, turn for turn. A facet that comes back starts from the present time, so being away gains it nothing.
  Facets arrive by the ring, as in a plain queue: what delivers and gives back need not know that there are weights.
  A facet with messages stands in exactly one of: ring, fair, parked (paused, or at its cap), throttled (until a time).
  Cost of a message: 1; with cost "bytes" its KiB, with "time" the seconds it was in flight, both charged when they are known. ]]
-- @include queue/ring.lua
local CHUNK, ARRIVALS, VISITS = 64, 128, 512

local function exact(number) return string.format('%.17g', number) end

local function read_settings(unit)
  local v = call('HMGET', unit .. 'policy', 'vt', 'seq', 'tat', 'pause', 'cap', 'each.cap', 'rate', 'each.rate', 'strict', 'cost',
    'avg', 'track')
  return {
    vt = tonumber(v[1]) or 0, seq = tonumber(v[2]) or 0, tat = tonumber(v[3]) or 0, pause = v[4], cap = tonumber(v[5]),
    each_cap = v[6], rate = v[7], each_rate = v[8], strict = v[9], cost = v[10], avg = tonumber(v[11]) or 0, track = v[12],
  }
end

-- Messages a rate "<count>/<period ms>/<burst>" lets through now, by the generic cell rate algorithm; then how to count some.
local function bucket(spec, tat, now)
  local count, period, burst = string.match(spec, '^(%d+)/(%d+)/(%d+)$')
  local interval = period / count
  local base = math.max(tat, now)
  return math.floor((now + burst * interval - base) / interval + 1e-6), base, interval, (burst - 1) * interval
end

-- What is known of facets, and of the policies for them.
local function look_up(plan, facets)
  if #facets == 0 then return end
  local fields = {}
  for i = 1, #facets do
    for _, kind in ipairs({'w:', 'c:', 'r:', 'p:'}) do fields[#fields + 1] = kind .. facets[i] end
  end
  local v = call('HMGET', plan.unit .. 'policy', unpack(fields))
  local s = plan.settings
  for i = 1, #facets do
    local at = 4 * (i - 1)
    local weight = tonumber(v[at + 1]) or 1
    local cap = s.strict and '1' or v[at + 2] or s.each_cap
    plan.known[facets[i]] = {
      facet = facets[i], weight = weight, paused = weight == 0 or v[at + 4], rate = v[at + 3] or s.each_rate,
      cap = cap and tonumber(string.match(cap, '^%d+')), elastic = cap and string.sub(cap, -1) == 'e', quota = 0,
    }
  end
end

-- A facet's first visit: how many of its messages may be handed out now.
local function open(plan, info, over_cap)
  local unit, now = plan.unit, plan.now
  info.opened, info.left, info.limit, info.stand = true, 0, nil, nil
  if info.paused then
    info.stand = 'parked'
    return
  end
  info.have = call('LLEN', unit .. 'f:' .. info.facet)
  if plan.has_back then info.have = info.have + back_count(unit, info.facet) end
  if info.have == 0 then
    info.stand = 'gone'
    return
  end
  if plan.settings.strict then
    local hold = tonumber(call('ZSCORE', unit .. 'hold', info.facet))
    if hold and hold > now then
      info.stand, info.until_ms = 'throttled', hold
      return
    end
  end
  local left = info.have
  if info.cap and not over_cap then
    local room = info.cap - call('ZLEXCOUNT', unit .. 'busy', '[' .. facet_prefix(info.facet), back_end(info.facet))
    if room < left then left, info.limit = math.max(0, room), 'cap' end
  end
  if info.rate then
    local may
    may, info.base, info.interval, info.slack = bucket(info.rate, tonumber(call('ZSCORE', unit .. 'buckets', info.facet)) or 0, now)
    if may < left then left, info.limit = math.max(0, may), 'rate' end
  end
  info.left = left
end

-- Where a facet stands that gets nothing more in this call though it has more.
local function stop(plan, info)
  if info.limit == 'rate' then
    info.stand, info.until_ms = 'throttled', math.ceil(info.base + info.quota * info.interval - info.slack)
  else
    info.stand = 'parked'
    if info.elastic then plan.aside[#plan.aside + 1] = info end
  end
end

local function before(a, b) return a.key < b.key or (a.key == b.key and a.seq < b.seq) end

local function push(heap, info)
  local i = #heap + 1
  heap[i] = info
  while i > 1 and before(info, heap[math.floor(i / 2)]) do
    heap[i], i = heap[math.floor(i / 2)], math.floor(i / 2)
    heap[i] = info
  end
end

local function pop(heap)
  local top, last = heap[1], table.remove(heap)
  local size, i = #heap, 1
  if size == 0 then return top end
  heap[1] = last
  while true do
    local child = 2 * i
    if child > size then break end
    if child < size and before(heap[child + 1], heap[child]) then child = child + 1 end
    if not before(heap[child], last) then break end
    heap[i], heap[child], i = heap[child], last, child
  end
  return top
end

-- The next facets of fair, from the rank reached so far; frontier is the last of them.
local function fetch(plan)
  local page = call('ZRANGE', plan.unit .. 'fair', plan.rank, plan.rank + CHUNK - 1, 'WITHSCORES')
  local facets = {}
  for i = 1, #page, 2 do facets[#facets + 1] = string.sub(page[i], 18) end
  look_up(plan, facets)
  for i = 1, #facets do
    local info = plan.known[facets[i]]
    info.member, info.origin = page[2 * i - 1], 'fair'
    info.key, info.seq = tonumber(page[2 * i]), tonumber(string.sub(page[2 * i - 1], 1, 16))
    info.first = info.key
    push(plan.heap, info)
    plan.frontier = {key = info.key, seq = info.seq}
  end
  plan.rank, plan.exhausted = plan.rank + #facets, #facets < CHUNK
end

-- New arrivals take their place; what is paused does not even begin to wait.
local function arrive(plan)
  local s = plan.settings
  plan.arrivals = call('LRANGE', plan.unit .. 'ring', 0, ARRIVALS - 1)
  look_up(plan, plan.arrivals)
  local debts = s.cost and #plan.arrivals > 0 and call('ZMSCORE', plan.unit .. 'debts', unpack(plan.arrivals))
  for i = 1, #plan.arrivals do
    local info = plan.known[plan.arrivals[i]]
    if info.paused then
      info.stand = 'parked'
    else
      s.seq = s.seq + 1
      local from = math.max(s.vt, debts and tonumber(debts[i]) or 0)
      info.key, info.seq = s.cost and from or from + 1 / info.weight, s.seq
      info.first = info.key
      push(plan.heap, info)
    end
    info.origin = info.origin or 'ring'
  end
end

local function serve_turns(plan, n, over_cap)
  local s, heap = plan.settings, plan.heap
  while #plan.turns < n and plan.visits < VISITS do
    if not plan.exhausted and (not plan.frontier or #heap == 0 or before(plan.frontier, heap[1])) then
      fetch(plan)
    elseif #heap == 0 then
      return
    else
      local info = pop(heap)
      if not info.opened then
        plan.visits = plan.visits + 1
        open(plan, info, over_cap)
        if info.left == 0 and not info.stand then stop(plan, info) end
      end
      if info.left > 0 then
        if info.quota == 0 then
          plan.served[#plan.served + 1] = info
          info.index = #plan.served
        end
        plan.turns[#plan.turns + 1] = info.index
        info.quota, info.left = info.quota + 1, info.left - 1
        s.vt = math.max(s.vt, s.cost and info.first or info.key)
        if info.left > 0 then
          s.seq = s.seq + 1
          info.key, info.seq, info.moved = info.key + 1 / info.weight, s.seq, true
          push(heap, info)
        elseif info.quota == info.have then
          info.stand = 'gone'
        else
          s.seq = s.seq + 1
          info.key, info.seq = info.key + 1 / info.weight, s.seq
          stop(plan, info)
        end
      end
    end
  end
end

-- Nobody below its cap wants the rest: facets with elastic caps go on above theirs.
local function serve_elastic(plan, n)
  plan.heap, plan.exhausted, plan.over = {}, true, plan.aside
  local parked = call('ZRANGEBYSCORE', plan.unit .. 'parked', 0, '+inf', 'WITHSCORES', 'LIMIT', 0, CHUNK)
  local facets = {}
  for i = 1, #parked, 2 do facets[#facets + 1] = parked[i] end
  look_up(plan, facets)
  for i = 1, #facets do
    local info = plan.known[facets[i]]
    info.origin, info.key, info.seq = 'parked', tonumber(parked[2 * i]), 0
    info.first = info.key
    plan.over[#plan.over + 1] = info
  end
  plan.aside = {}
  for _, info in ipairs(plan.over) do
    info.stand = nil
    open(plan, info, true)
    info.left = math.max(0, info.left - info.quota) -- what it got in this call is still in its list
    if info.left > 0 then push(plan.heap, info) elseif not info.stand then stop(plan, info) end
  end
  serve_turns(plan, n, true)
  for _, info in ipairs(plan.over) do
    if not info.stand then info.stand, info.elastic = 'parked', true end
  end
end

-- Plans the next n messages without changing anything.
local function select_fair(unit, n, now, has_back)
  local plan = {
    unit = unit, asked = n, now = now, has_back = has_back, settings = read_settings(unit), known = {}, heap = {}, turns = {}, served = {},
    aside = {}, arrivals = {}, rank = 0, visits = 0, wait = -1,
  }
  local s = plan.settings
  if s.pause then return plan end
  if s.cap then n = math.min(n, s.cap - call('ZCARD', unit .. 'busy')) end
  if s.rate then
    local may
    may, plan.base, plan.interval, plan.slack = bucket(s.rate, s.tat, now)
    if may < n then
      plan.limited, n = true, may
    end
  end
  if n > 0 then
    arrive(plan)
    serve_turns(plan, n, false)
    if #plan.turns < n and plan.visits < VISITS and s.track then serve_elastic(plan, n) end
    plan.more = #plan.turns < n and (plan.visits >= VISITS or #plan.arrivals == ARRIVALS)
  end
  if plan.limited then plan.wait = math.max(0, math.ceil(plan.base + #plan.turns * plan.interval - plan.slack) - now) end
  return plan
end
