--[[ queue/fair-commit.lua: what a fair pull changes, included by the script that pulls; see queue/fair.lua. ]]
-- One variadic call for many words, none for none.
local function many(command, key, words) if #words > 0 then call(command, key, unpack(words)) end end

-- Facets whose time has come stand for their turn again; what is over and done with is forgotten. Bounded.
local function release_due(unit, now)
  local due = call('ZRANGEBYSCORE', unit .. 'throttled', '-inf', now, 'LIMIT', 0, ARRIVALS)
  if #due > 0 then
    call('ZREM', unit .. 'throttled', unpack(due))
    call('RPUSH', unit .. 'ring', unpack(due))
  end
  return #due == ARRIVALS
end

local function forget_old(unit, now, vt)
  for key, limit in pairs({buckets = now, hold = now, debts = exact(vt)}) do
    local old = call('ZRANGEBYSCORE', unit .. key, '-inf', limit, 'LIMIT', 0, ARRIVALS)
    if #old > 0 then call('ZREM', unit .. key, unpack(old)) end
  end
end

-- Small sets and hashes are kept as lists, which is slow for what is changed this much. One large member makes them trees for good.
local function make_quick(unit)
  local large = string.rep(' ', 65)
  for _, part in ipairs({'fair', 'buckets'}) do
    if call('ZCARD', unit .. part) > 16 then
      call('ZADD', unit .. part, '+inf', large)
      call('ZREM', unit .. part, large)
    end
  end
  if call('HLEN', unit .. 'place') > 16 then
    call('HSET', unit .. 'place', large, large)
    call('HDEL', unit .. 'place', large)
  end
end

-- Writes down where everybody stands now. sizes: bytes handed out, by index of the facet served; where they are what is paid.
local function commit_fair(plan, sizes)
  local unit, s = plan.unit, plan.settings
  local leave, enter, forget, place, park, unpark, throttle, buckets, debts = {}, {}, {}, {}, {}, {}, {}, {}, {}
  for facet, info in pairs(plan.known) do
    local rules = info.rules
    if rules.rate and info.quota > 0 then
      buckets[#buckets + 1] = exact(info.base + info.quota * rules.rate.interval)
      buckets[#buckets + 1] = facet
    end
    if s.cost and info.quota > 0 then -- paid by what it really is
      local cost = s.cost == 'bytes' and sizes[info.index] / 1024 or info.quota * s.avg
      info.key, info.moved = info.first + cost / rules.weight, true
      if info.stand and info.key > s.vt then
        debts[#debts + 1] = exact(info.key)
        debts[#debts + 1] = facet
      end
    end
    if info.stand then
      if info.origin == 'fair' then
        leave[#leave + 1] = info.member
        forget[#forget + 1] = facet
      elseif info.origin == 'parked' and info.stand ~= 'parked' then
        unpark[#unpark + 1] = facet
      end
      if info.stand == 'parked' then
        park[#park + 1] = (info.over or rules.elastic) and not rules.paused and exact(info.key) or '-1'
        park[#park + 1] = facet
      elseif info.stand == 'throttled' then
        throttle[#throttle + 1] = info.until_ms
        throttle[#throttle + 1] = facet
      end
    elseif info.origin == 'ring' or info.moved then
      if info.member then leave[#leave + 1] = info.member end
      local member = string.format('%016d:', info.seq) .. facet -- not by %s, which ends at a zero byte
      enter[#enter + 1] = exact(info.key)
      enter[#enter + 1] = member
      place[#place + 1] = facet
      place[#place + 1] = member
    end
  end
  if #plan.arrivals > 0 then call('LPOP', unit .. 'ring', #plan.arrivals) end
  many('ZREM', unit .. 'fair', leave)
  many('ZADD', unit .. 'fair', enter)
  many('HDEL', unit .. 'place', forget)
  many('HSET', unit .. 'place', place)
  many('ZREM', unit .. 'parked', unpark)
  many('ZADD', unit .. 'parked', park)
  many('ZADD', unit .. 'buckets', buckets)
  many('ZADD', unit .. 'debts', debts)
  if #throttle > 0 then
    local first = tonumber(call('ZRANGE', unit .. 'throttled', 0, 0, 'WITHSCORES')[2])
    call('ZADD', unit .. 'throttled', unpack(throttle))
    local now_first = tonumber(call('ZRANGE', unit .. 'throttled', 0, 0, 'WITHSCORES')[2])
    -- Who asked and got all, or pulled for good, will not wait for it; somebody idle must.
    if (not first or now_first < first) and (#plan.turns == plan.asked or plan.for_good) then call('PUBLISH', unit .. 'wake', '!') end
  end
  if #plan.turns > 0 or #plan.arrivals > 0 then
    local words = {'vt', exact(s.vt), 'seq', s.seq}
    if plan.base then
      words[5], words[6] = 'tat', exact(plan.base + #plan.turns * plan.rate.interval)
    end
    call('HSET', unit .. 'policy', unpack(words))
  end
end

-- All policies are gone. The next facets in order go to the head of the ring, where each has one turn before those that stand there
-- already, as it would have had; with the last of them the queue is a plain one. Answers whether there are more.
local function leave_fair(unit, most)
  local page, facets, more, released = call('ZRANGE', unit .. 'fair', 0, most - 1), {}, false, 0
  for i = 1, #page do facets[#page + 1 - i] = string.sub(page[i], 18) end
  if #page > 0 then
    call('ZREM', unit .. 'fair', unpack(page))
    call('HDEL', unit .. 'place', unpack(facets))
    call('LPUSH', unit .. 'ring', unpack(facets))
  end
  for _, aside in ipairs({'parked', 'throttled'}) do
    local out = call('ZRANGE', unit .. aside, 0, ARRIVALS - 1)
    many('ZREM', unit .. aside, out)
    many('RPUSH', unit .. 'ring', out)
    more, released = more or #out == ARRIVALS, released + #out
  end
  if released > 0 then call('PUBLISH', unit .. 'wake', '!') end
  call('UNLINK', unit .. 'busy')
  call('HDEL', unit .. 'policy', 'track')
  if call('EXISTS', unit .. 'fair', unit .. 'parked', unit .. 'throttled') == 0 then
    call('UNLINK', unit .. 'policy', unit .. 'place', unit .. 'buckets', unit .. 'hold', unit .. 'debts')
  end
  return more
end
