--[[ queue/policy.lua: changes how a queue hands out its messages. A change is in force for the next pull.
  KEYS[1]  unit prefix; derived: policy, fair, place, parked, throttled, hold, ring, busy, leases, l:<profile>; channel wake
                                                                         "<namespace>:queue:{<name>/<partition>}:"
  ARGV[1]  "set": ARGV[2] the facet it is for when ARGV[3] is "1"; ARGV[4..] pairs: field of policy, value or "" to take it away
           "track": begins to count what is in flight; ARGV[2] lease profile, or "" to begin with, ARGV[3] entry id to go on behind or "-"
           "release": facets that are parked or throttled stand for their turn again, to be judged anew; ARGV[2] which of both,
           ARGV[3] cursor, about 150 a call
           "show": ARGV[2] cursor, or "" for what is set for the queue and for the facet in ARGV[3]
  Returns  set: {"OK"}. track: {"OK", profile, ...} to go on with, or {"OK", entry id to go on behind or ""}.
           release: {"OK", cursor}. show: {"OK", cursor, field, value, ...}
  Twice    a repeated call changes nothing. Cost: set 9 calls, track 3 for 2 leases and their size, release O(150), show O(500), or 1. ]]
-- @include queue/track.lua
local unit, what, policy = KEYS[1], ARGV[1], KEYS[1] .. 'policy'

-- Who waits for his turn keeps his place, or he would never be served whose policies change more often than he is. With another weight
-- what is left to wait for changes likewise; where costs are known afterwards only, keys are of what was paid already.
local function reweigh(facet, old, new)
  local member = call('HGET', unit .. 'place', facet)
  local key = member and tonumber(call('ZSCORE', unit .. 'fair', member))
  local v = call('HMGET', policy, 'vt', 'cost')
  local vt = tonumber(v[1]) or 0
  if key and key > vt and not v[2] then
    call('ZADD', unit .. 'fair', string.format('%.17g', vt + (key - vt) * old / new), member)
  end
end

-- Who stands aside by the old rules is judged by the new ones.
local function judge_anew(facet)
  if call('ZREM', unit .. 'parked', facet) + call('ZREM', unit .. 'throttled', facet) > 0 then call('RPUSH', unit .. 'ring', facet) end
end

if what == 'set' then
  local changed = false
  for i = 4, #ARGV, 2 do
    local needs_track = string.find(ARGV[i], '^c:') or string.find(' cap each.cap strict ', ' ' .. ARGV[i] .. ' ', 1, true) or
      (ARGV[i] == 'cost' and ARGV[i + 1] ~= 'bytes') -- their costs are known when they are handed out
    if needs_track and (ARGV[i + 1] ~= '' or call('HEXISTS', policy, 'track') == 1) then call('HSET', policy, 'track', '1') end
    local old = call('HGET', policy, ARGV[i]) or ''
    if old ~= ARGV[i + 1] then
      changed = true
      if string.find(ARGV[i], '^w:') and old ~= '0' and ARGV[i + 1] ~= '0' then
        reweigh(ARGV[2], tonumber(old) or 1, tonumber(ARGV[i + 1]) or 1)
      end
      if ARGV[i + 1] == '' then
        call('HDEL', policy, ARGV[i])
      else
        call('HSET', policy, ARGV[i], ARGV[i + 1])
      end
    end
  end
  if changed then
    if ARGV[3] == '1' then judge_anew(ARGV[2]) end
    call('PUBLISH', unit .. 'wake', '!')
  end
  return {'OK'}
end

if what == 'track' then
  local reply = {'OK'}
  if ARGV[2] == '' then
    call('HSET', policy, 'track', now_ms()) -- it lasts until the policy is set that needs it
    local profiles = call('SMEMBERS', unit .. 'leases')
    for i = 1, #profiles do reply[i + 1] = profiles[i] end
    return reply
  end
  reply[2] = track_page(unit, ARGV[2], ARGV[3])
  return reply
end

if what == 'release' then
  local page = call('ZSCAN', unit .. ARGV[2], ARGV[3], 'COUNT', 150) -- what is parked again meanwhile is not met for ever
  local released = 0
  for i = 1, #page[2], 2 do
    released = released + call('ZREM', unit .. ARGV[2], page[2][i])
    call('RPUSH', unit .. 'ring', page[2][i])
  end
  if released > 0 then call('PUBLISH', unit .. 'wake', '!') end
  return {'OK', page[1]}
end

local reply = {'OK'}
if ARGV[2] == '' then
  reply[2] = '0'
  local names = {'pause', 'cap', 'each.cap', 'rate', 'each.rate', 'strict', 'cost'}
  for kind in string.gmatch('wpcrl', '.') do names[#names + 1] = kind .. ':' .. ARGV[3] end
  local values = call('HMGET', policy, unpack(names))
  for i, value in ipairs(values) do
    if value then
      reply[#reply + 1] = names[i]
      reply[#reply + 1] = value
    end
  end
  return reply
end

local page = call('HSCAN', policy, ARGV[2], 'COUNT', 500)
reply[2] = page[1]
for i = 1, #page[2] do reply[i + 2] = page[2][i] end
return reply
