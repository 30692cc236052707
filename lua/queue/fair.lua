--[[ queue/fair.lua: whose turn it is in a queue with weights, caps, rates or pauses; included by the scripts that pull and peek.
  Self-clocked fair queueing (Golestani 1994): a facet waits in "fair" under the virtual time at which its next message will be done,
  the time of the last one served plus cost/weight; the smallest goes first, ties in the order of arrival. With equal weights that
  is the plain ring, turn for turn. A facet that comes back starts from the present time, so being away gains it nothing.
  Facets arrive by the ring, as in a plain queue: what delivers and gives back need not know that there are weights.
  A facet with messages stands in exactly one of: ring, fair, parked (paused, or at its cap), throttled (until a time).
  Cost of a message: 1; with cost "bytes" its KiB, with "time" the seconds it was in flight, both charged when they are known. ]]
-- @include queue/ring.lua
local CHUNK, ARRIVALS, VISITS, FEW = 64, 64, 512, 64
local CONTROL = {vt = true, seq = true, tat = true, avg = true, track = true} -- what is written down, not set by anybody
local texts = {} -- of numbers: facets of equal weight share their keys

local function exact(number)
  local text = texts[number]
  if not text then
    text = string.format('%.17g', number)
    texts[number] = text
  end
  return text
end

-- What is set for the queue; and for all facets, if that is little, else nil: then it is looked up facet by facet.
local function read_settings(unit)
  local v, own, none = {}, nil, true
  if call('HLEN', unit .. 'policy') <= FEW then
    own = {}
    local all = call('HGETALL', unit .. 'policy')
    for i = 1, #all, 2 do
      local field = all[i]
      if string.byte(field, 2) == 58 then -- ":"
        local facet, kind = string.sub(field, 3), string.sub(field, 1, 1)
        own[facet] = own[facet] or {}
        own[facet][kind], none = all[i + 1], false
        if kind == 'r' then v.rates = true end
      else
        v[field] = all[i + 1]
        none = none and CONTROL[field]
      end
    end
  else
    none = false
    v.rates = true -- some facet may have one
    local names = {'vt', 'seq', 'tat', 'pause', 'cap', 'each.cap', 'rate', 'each.rate', 'strict', 'cost', 'avg', 'track'}
    local values = call('HMGET', unit .. 'policy', unpack(names))
    for i = 1, #names do v[names[i]] = values[i] end
  end
  return {
    vt = tonumber(v.vt) or 0, seq = tonumber(v.seq) or 0, tat = tonumber(v.tat) or 0, pause = v.pause, cap = tonumber(v.cap),
    each_cap = v['each.cap'], rate = v.rate, each_rate = v['each.rate'], strict = v.strict, cost = v.cost, avg = tonumber(v.avg) or 0,
    track = v.track, rates = v.rates, none = none,
  }, own
end

-- A rate "<count>/<period ms>/<burst>".
local function parse_rate(spec)
  local count, period, burst = string.match(spec, '^(%d+)/(%d+)/(%d+)$')
  return {interval = period / count, burst = tonumber(burst), slack = (burst - 1) * (period / count)}
end

-- Messages a rate lets through now, by the generic cell rate algorithm, and from when to count them.
local function bucket(rate, tat, now)
  local interval, all = rate.interval, rate.burst * rate.interval
  if tat > now + all + 1000 then tat = now end -- of a slower rate that was; a clock may step back by less
  local base = tat > now and tat or now
  return math.floor((now + all - base) / interval + 1e-6), base
end

-- The policies for a facet of which these are set. Facets without settings of their own share one.
local function rules_of(plan, w, c, r, p)
  local s = plan.settings
  local weight, cap, rate = tonumber(w) or 1, s.strict and '1' or c or s.each_cap, r or s.each_rate
  return {
    weight = weight, step = 1 / weight, paused = weight == 0 or p, cap = cap and tonumber(string.match(cap, '^%d+')),
    elastic = cap and string.sub(cap, -1) == 'e', rate = rate and parse_rate(rate),
  }
end

-- What is known of facets, and of the policies for them.
local function look_up(plan, facets)
  if #facets == 0 then return end
  local v
  if not plan.own then
    local fields = {}
    for i = 1, #facets do
      local at, facet = 4 * (i - 1), facets[i]
      fields[at + 1], fields[at + 2], fields[at + 3], fields[at + 4] = 'w:' .. facet, 'c:' .. facet, 'r:' .. facet, 'p:' .. facet
    end
    v = call('HMGET', plan.unit .. 'policy', unpack(fields))
  end
  local known, rules = plan.known, plan.rules
  local tats = (rules.rate or plan.rates) and call('ZMSCORE', plan.unit .. 'buckets', unpack(facets)) or {}
  local holds = plan.settings.strict and call('ZMSCORE', plan.unit .. 'hold', unpack(facets)) or {}
  for i = 1, #facets do
    local own = rules
    if v then
      local at = 4 * (i - 1)
      local w, c, r, p = v[at + 1], v[at + 2], v[at + 3], v[at + 4]
      if w or c or r or p then own = rules_of(plan, w, c, r, p) end
    else
      local set = plan.own[facets[i]]
      if set then own = rules_of(plan, set.w, set.c, set.r, set.p) end
    end
    -- All fields at once, sixteen: a table that grows is made anew. have: -1 before the first visit.
    known[facets[i]] = {
      facet = facets[i], rules = own, quota = 0, left = 0, have = -1, key = 0, first = 0, seq = 0, index = 0, moved = false, member = false,
      origin = false, limit = false, stand = false, base = tonumber(tats[i]) or 0, until_ms = tonumber(holds[i]) or 0,
    }
  end
end

-- A facet's first visit: how many of its messages may be handed out now.
local function open(plan, info, over_cap)
  local unit, now, rules = plan.unit, plan.now, info.rules
  info.have, info.left, info.limit, info.stand = 0, 0, false, false
  if rules.paused then
    info.stand = 'parked'
    return
  end
  info.have = call('LLEN', unit .. 'f:' .. info.facet)
  if plan.has_back then info.have = info.have + back_count(unit, info.facet) end
  if info.have == 0 then
    info.stand = 'gone'
    return
  end
  if info.until_ms > now then -- strict order: it is held back
    info.stand = 'throttled'
    return
  end
  local left = info.have
  if rules.cap and not over_cap then
    local room = rules.cap - plan.busy
    if room < left and room <= plan.asked then -- else even all that is in flight leaves it more than it can get
      room = rules.cap - call('ZLEXCOUNT', unit .. 'busy', '[' .. facet_prefix(info.facet), back_end(info.facet))
    end
    if plan.for_good and room > 0 then room = left end -- it fills no cap, so no end of a lease would bring the facet back
    if room < left then left, info.limit = math.max(0, room), 'cap' end
  end
  if rules.rate then
    local may
    may, info.base = bucket(rules.rate, info.base, now)
    if may < left then left, info.limit = math.max(0, may), 'rate' end
  end
  info.left = left
end

-- Where a facet stands that gets nothing more in this call though it has more.
local function stop(plan, info)
  if info.limit == 'rate' then
    local rate = info.rules.rate
    info.stand, info.until_ms = 'throttled', math.ceil(info.base + info.quota * rate.interval - rate.slack)
  else
    info.stand = 'parked'
    if info.rules.elastic then plan.aside[#plan.aside + 1] = info end
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

-- The next facets of fair, from the rank reached so far: in order, so they need no heap.
local function fetch(plan)
  local page = call('ZRANGE', plan.unit .. 'fair', plan.rank, plan.rank + plan.chunk - 1, 'WITHSCORES')
  local facets = {}
  for i = 1, #page, 2 do facets[#facets + 1] = string.sub(page[i], 18) end
  look_up(plan, facets)
  plan.page, plan.at = {}, 1
  for i = 1, #facets do
    local info = plan.known[facets[i]]
    info.member, info.origin = page[2 * i - 1], 'fair'
    info.key, info.seq = tonumber(page[2 * i]), tonumber(string.sub(page[2 * i - 1], 1, 16))
    info.first = info.key
    plan.page[i] = info
  end
  plan.rank, plan.exhausted = plan.rank + #facets, #facets < plan.chunk
end

-- New arrivals take their place; what is paused does not even begin to wait.
local function arrive(plan)
  local s = plan.settings
  plan.arrivals = call('LRANGE', plan.unit .. 'ring', 0, ARRIVALS - 1)
  for i = 1, plan.due and #plan.due or 0 do plan.arrivals[#plan.arrivals + 1] = plan.due[i] end
  look_up(plan, plan.arrivals)
  local debts = s.cost and #plan.arrivals > 0 and call('ZMSCORE', plan.unit .. 'debts', unpack(plan.arrivals))
  for i = 1, #plan.arrivals do
    local info = plan.known[plan.arrivals[i]]
    if info.rules.paused then
      info.stand = 'parked'
    else
      s.seq = s.seq + 1
      local from = math.max(s.vt, debts and tonumber(debts[i]) or 0)
      info.key, info.seq = s.cost and from or from + info.rules.step, s.seq
      info.first = info.key
      push(plan.heap, info)
    end
    info.origin = info.origin or 'ring'
  end
end

local function serve_turns(plan, n, over_cap)
  local s, heap = plan.settings, plan.heap
  while #plan.turns < n and plan.visits < VISITS do
    local info = plan.page[plan.at]
    if not info and not plan.exhausted then
      fetch(plan)
    elseif not info and #heap == 0 then
      return
    else
      if info and (#heap == 0 or before(info, heap[1])) then plan.at = plan.at + 1 else info = pop(heap) end
      if info.have < 0 then
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
          info.key, info.seq, info.moved = info.key + info.rules.step, s.seq, true
          push(heap, info)
        elseif info.quota == info.have then
          info.stand = 'gone'
        else
          s.seq = s.seq + 1
          info.key, info.seq = info.key + info.rules.step, s.seq
          stop(plan, info)
        end
      end
    end
  end
end

-- Nobody below its cap wants the rest: facets with elastic caps go on above theirs.
local function serve_elastic(plan, n)
  plan.heap, plan.page, plan.exhausted, plan.over = {}, {}, true, plan.aside
  local parked = call('ZRANGEBYSCORE', plan.unit .. 'parked', 0, '+inf', 'WITHSCORES', 'LIMIT', 0, CHUNK)
  local facets = {}
  for i = 1, #parked, 2 do facets[#facets + 1] = parked[i] end
  look_up(plan, facets)
  for i = 1, #facets do
    local info = plan.known[facets[i]]
    info.origin, info.key, info.seq = 'parked', tonumber(parked[2 * i]), i - 1 - #facets -- ties in the order they are in
    info.first = info.key
    plan.over[#plan.over + 1] = info
  end
  plan.aside = {}
  for _, info in ipairs(plan.over) do
    info.stand = false
    open(plan, info, info.rules.elastic) -- parked when it was elastic, it may have a cap that holds by now
    info.left = math.max(0, info.left - info.quota) -- what it got in this call is still in its list
    if info.left > 0 then push(plan.heap, info) elseif not info.stand then stop(plan, info) end
  end
  serve_turns(plan, n, true)
  for _, info in ipairs(plan.over) do
    if not info.stand then info.stand, info.over = 'parked', true end
  end
end

-- Plans the next n messages without changing anything. for_good: they will not be in flight. due: facets to be
-- looked at as if they stood at the end of the ring, when nothing will be changed. none: all policies were taken away.
local function select_fair(unit, n, now, has_back, for_good, due)
  local plan = {
    unit = unit, asked = n, now = now, has_back = has_back, for_good = for_good, known = {}, heap = {}, turns = {}, served = {},
    aside = {}, arrivals = {}, page = {}, at = 1, rank = 0, visits = 0, wait = -1, busy = 0,
    chunk = math.max(8, math.min(n, CHUNK)), due = due,
  }
  local s
  s, plan.own = read_settings(unit)
  plan.settings = s
  plan.none = s.none and not (s.track and now - s.track < 60000) -- else a policy that needs it may be about to come
  if plan.none then return plan end
  if s.pause then return plan end
  plan.rules, plan.rates = rules_of(plan), s.rates
  if s.track then plan.busy = call('ZCARD', unit .. 'busy') end
  if s.cap then
    local room = s.cap - plan.busy
    if not for_good or room <= 0 then n = math.min(n, room) end
  end
  if s.rate then
    local may
    plan.rate = parse_rate(s.rate)
    may, plan.base = bucket(plan.rate, s.tat, now)
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
  if plan.limited and #plan.turns >= n then
    plan.wait = math.max(0, math.ceil(plan.base + #plan.turns * plan.rate.interval - plan.rate.slack) - now)
  end
  return plan
end
