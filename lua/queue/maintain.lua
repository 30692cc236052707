--[[ queue/maintain.lua: what time brings about, included by the scripts that pull, behind queue/track.lua. Bounded: about 64 messages
  a call, half of them due, half of ended leases, so that neither waits for the other. ]]
-- @include queue/delayed.lua
local DUE_LIMIT, ENDED_LIMIT = 32, 32

-- A profile's stream without entries is forgotten, but only when its last lease is long over: its ids must not come again.
local function forget_if_idle(unit, profile, lease_ms, now)
  local stream = unit .. 'l:' .. profile
  if call('EXISTS', stream) == 1 then
    local info = call('XINFO', 'STREAM', stream)
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' and now - tonumber(string.match(info[i + 1], '^%d+')) <= lease_ms + 1000 then return end
    end
    call('DEL', stream)
  end
  call('SREM', unit .. 'leases', profile)
end

local function reclaim(unit, profile, now, budget, tracked)
  local lease_ms, max_attempts = parse_profile(profile)
  local stream = unit .. 'l:' .. profile
  while budget > 0 do
    local entries = call('XRANGE', stream, '-', string.format('%d', now - lease_ms), 'COUNT', 1)
    if #entries == 0 then break end
    for i = 1, #entries do
      local id, entry = entries[i][1], entries[i][2]
      call('XDEL', stream, id)
      if tracked then untrack(unit, profile, id, entry) end
      for j = 1, #entry, 2 do
        end_lease(unit, id, (j + 1) / 2, entry[j], entry[j + 1], max_attempts, true, nil, 'lease expired', false)
        budget = budget - 1
      end
    end
  end
  if call('XLEN', stream) == 0 then forget_if_idle(unit, profile, lease_ms, now) end
  return budget
end

-- A delayed delivery takes place: now the message joins its facet, behind what is there.
local function deliver_delayed(unit, id)
  local stored = call('HGET', unit .. 'delayed', id)
  if not stored then return end
  call('HDEL', unit .. 'delayed', id)
  local channel, element, limit = parse_delayed(stored)
  local facet = facet_of(element) or ''
  local list = unit .. 'f:' .. facet
  call('ZREM', unit .. 'promised', facet_prefix(facet) .. id)
  -- Its id is remembered from now on as if it were delivered now; who delivers next sets the true window.
  if call('SADD', unit .. 'ids', id) == 1 and call('PTTL', unit .. 'ids') == -1 then call('PEXPIRE', unit .. 'ids', 86400000) end
  if limit and call('LLEN', list) + back_count(unit, facet) >= limit then
    -- The oldest makes room; first in, then out: the list is never empty in between. What came back from consumers keeps its place.
    -- Its producer is not here to be told.
    if call('RPUSHX', list, element) > 0 then
      put_dead(unit, facet, call('LPOP', list), 0, 'made room for a delayed delivery', order_of_now())
    else
      put_dead(unit, facet, element, 0, 'no room', order_of_now())
    end
  elseif call('RPUSH', list, element) == 1 and back_count(unit, facet) == 0 then
    enter_ring(unit, facet)
  end
  if channel ~= '' then call('PUBLISH', channel, element) end
end

-- Messages whose time has come join their facet; leases that ended are taken back. Answers whether there may be more of them, and how many
-- there were.
local function maintain(unit)
  local now = now_ms()
  local due = call('ZRANGEBYSCORE', unit .. 'later', '-inf', now, 'LIMIT', 0, DUE_LIMIT)
  for i = 1, #due do
    call('ZREM', unit .. 'later', due[i])
    if string.byte(due[i]) == 61 then -- "="
      deliver_delayed(unit, string.sub(due[i], 2))
    else
      put_back(unit, (parse_member(due[i])), due[i])
    end
  end
  local budget = ENDED_LIMIT
  local profiles = call('SMEMBERS', unit .. 'leases')
  local tracked = call('EXISTS', unit .. 'busy') == 1
  for i = 1, #profiles do
    if budget > 0 then budget = reclaim(unit, profiles[i], now, budget, tracked) end
  end
  return #due == DUE_LIMIT or budget <= 0, #due + ENDED_LIMIT - budget
end

-- Milliseconds until a held back message is due, a throttled facet may go on, or a lease ends; -1 when nothing is pending, 0 when
-- something is overdue.
local function next_due(unit, throttled)
  local now = now_ms()
  local at = tonumber(call('ZRANGE', unit .. 'later', 0, 0, 'WITHSCORES')[2])
  if throttled then
    local free = tonumber(call('ZRANGE', unit .. 'throttled', 0, 0, 'WITHSCORES')[2])
    if free and (not at or free < at) then at = free end
  end
  local profiles = call('SMEMBERS', unit .. 'leases')
  for i = 1, #profiles do
    local entry = call('XRANGE', unit .. 'l:' .. profiles[i], '-', '+', 'COUNT', 1)[1]
    if entry then
      local ends = tonumber(string.match(entry[1], '^%d+')) + parse_profile(profiles[i])
      if not at or ends < at then at = ends end
    end
  end
  if not at then return -1 end
  return math.max(0, at - now)
end
