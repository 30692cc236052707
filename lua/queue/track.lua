--[[ queue/track.lua: the index of what is in flight by facet, included by the scripts that end leases. It exists only where caps, strict
  order or costs in time need it. busy: ZSET, all scores 0, a member "<bytes of facet>:<facet>/<profile>/<entry id>.<place>" for
  each message; the profile belongs to it, for entry ids are single in their stream only. ]]
-- @include queue/unit.lua

local function tracked_member(facet, profile, entry_id, place)
  return facet_prefix(facet) .. profile .. '/' .. entry_id .. '.' .. place
end

-- Puts one page of the leases of a profile on the index: about 256 messages, behind an entry id or "-". Answers the entry id to go on
-- behind, or "" at the end, and how many messages were not there.
local function track_page(unit, profile, after)
  local met, added = 0, 0
  repeat
    local entries = call('XRANGE', unit .. 'l:' .. profile, after == '-' and '-' or '(' .. after, '+', 'COUNT', 2)
    for i = 1, #entries do
      local list, members = entries[i][2], {}
      after = entries[i][1]
      for j = 2, #list, 2 do
        members[j - 1] = 0
        members[j] = tracked_member(facet_of(list[j]) or '', profile, after, j / 2)
      end
      met = met + #list / 2
      added = added + call('ZADD', unit .. 'busy', unpack(members))
    end
    if #entries < 2 then after = '' end
  until after == '' or met >= 256
  return after, added
end

-- What a message really cost is known when its lease ends. With a count of 0 it goes on: that much is paid, and nothing learned.
local function charge(unit, facet, seconds, count)
  local policy = unit .. 'policy'
  local v = call('HMGET', policy, 'avg', 'vt', 'w:' .. facet)
  local avg, vt, weight = tonumber(v[1]) or 0, tonumber(v[2]) or 0, tonumber(v[3]) or 1
  if count > 0 then call('HSET', policy, 'avg', string.format('%.17g', 0.9 * avg + 0.1 * seconds / count)) end
  if weight == 0 then return end
  local owed = (seconds - count * avg) / weight
  local member = call('HGET', unit .. 'place', facet)
  if member then
    call('ZINCRBY', unit .. 'fair', string.format('%.17g', owed), member)
  elseif owed > 0 then
    local from = math.max(vt, tonumber(call('ZSCORE', unit .. 'debts', facet)) or 0)
    call('ZADD', unit .. 'debts', string.format('%.17g', from + owed), facet)
  end
end

-- The lease of an entry has ended: its facets may be below their caps again.
local function untrack(unit, profile, entry_id, list)
  local members, facets, counts = {}, {}, {}
  for j = 2, #list, 2 do
    local facet = facet_of(list[j]) or ''
    members[#members + 1] = tracked_member(facet, profile, entry_id, j / 2)
    if not counts[facet] then facets[#facets + 1] = facet end
    counts[facet] = (counts[facet] or 0) + 1
  end
  local before = call('ZCARD', unit .. 'busy')
  if call('ZREM', unit .. 'busy', unpack(members)) == 0 then return end
  local v = call('HMGET', unit .. 'policy', 'cap', 'cost')
  local cap, cost = tonumber(v[1]), v[2]
  local parked = call('ZMSCORE', unit .. 'parked', unpack(facets))
  for i, facet in ipairs(facets) do
    local count = counts[facet]
    if cost == 'time' then charge(unit, facet, (now_ms() - tonumber(string.match(entry_id, '^%d+'))) / 1000 * count, count) end
    if parked[i] and call('ZREM', unit .. 'parked', facet) == 1 then enter_ring(unit, facet) end
  end
  if cap and before >= cap then call('PUBLISH', unit .. 'wake', '!') end
end

-- Acknowledges one lease of a queue that keeps this index: 1 done, 0 it was not held any more.
local function ack_tracked(unit, profile, entry_id)
  local stream = unit .. 'l:' .. profile
  local entry = call('XRANGE', stream, entry_id, entry_id)[1]
  if not entry then return 0 end
  call('XDEL', stream, entry_id)
  untrack(unit, profile, entry_id, entry[2])
  return 1
end
