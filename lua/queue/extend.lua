--[[ queue/extend.lua: begins a lease anew, from now; the old receipt ends, a new one takes its place.
  KEYS[1]  unit prefix; derived: l:<profile>, leases, policy, busy, extended, extended.at  "<namespace>:queue:{<name>/<partition>}:"
  ARGV     three each: lease profile, entry id, profile to go on with
  Returns  {"OK", entry id or "", ...}: "" when the lease was not held any more; it is never revived.
  Flags    allow-oom
  Twice    a repeated call answers what the first one did: the new receipt is remembered for as long as the lease lasts,
           and answered while it is held.
  Clock    TIME.
  Cost     9 calls, 5 more a receipt, and the size of the message. ]]
local call, unit = redis.call, KEYS[1]
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local last = 0
local over = call('ZRANGEBYSCORE', unit .. 'extended.at', '-inf', now, 'LIMIT', 0, 256)
if #over > 0 then
  call('HDEL', unit .. 'extended', unpack(over))
  call('ZREM', unit .. 'extended.at', unpack(over))
end
local tracking = call('HEXISTS', unit .. 'policy', 'track') == 1
local tracked = tracking or call('EXISTS', unit .. 'busy') == 1

-- Counted in flight as before, under the new id; or from now on, if counting has begun and not come to this lease yet.
local function retrack(old_profile, old_id, new_profile, new_id, list)
  -- @include queue/track.lua
  local gone, come = {}, {}
  local seconds = call('HGET', unit .. 'policy', 'cost') == 'time' and (now - string.match(old_id, '^%d+')) / 1000
  for j = 2, #list, 2 do
    local facet = facet_of(list[j]) or ''
    gone[#gone + 1] = tracked_member(facet, old_profile, old_id, j / 2)
    come[#come + 1] = 0
    come[#come + 1] = tracked_member(facet, new_profile, new_id, j / 2)
    if seconds then charge(unit, facet, seconds, 0) end
  end
  if call('ZREM', unit .. 'busy', unpack(gone)) > 0 or tracking then call('ZADD', unit .. 'busy', unpack(come)) end
end

local reply = {'OK'}
for i = 1, #ARGV, 3 do
  local from, id, profile = unit .. 'l:' .. ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local entry = call('XRANGE', from, id, id)[1]
  local new = ''
  local old = ARGV[i] .. '/' .. id
  if entry then
    local fields = entry[2]
    -- The order of a first lease is its entry's id: written down before that id is gone.
    for j = 1, #fields, 2 do
      if not string.find(fields[j], ':', 1, true) then
        local dash = string.find(id, '-', 1, true)
        fields[j] = fields[j] .. ':' .. string.format('%013d-%06d-%04d', tonumber(string.sub(id, 1, dash - 1)),
          tonumber(string.sub(id, dash + 1)), (j + 1) / 2)
      end
    end
    call('XDEL', from, id)
    call('SADD', unit .. 'leases', profile)
    new = call('XADD', unit .. 'l:' .. profile, '*', unpack(fields))
    if tracked then retrack(ARGV[i], id, profile, new, fields) end
    local ends = now + string.match(profile, '^%d+')
    call('HSET', unit .. 'extended', old, new)
    call('ZADD', unit .. 'extended.at', ends, old)
    if ends > last then last = ends end
  else
    new = call('HGET', unit .. 'extended', old) or ''
    if new ~= '' and #call('XRANGE', unit .. 'l:' .. profile, new, new) == 0 then new = '' end
  end
  reply[#reply + 1] = new
end
if last > 0 then
  local ttl = math.max(last - now, call('PTTL', unit .. 'extended'))
  call('PEXPIRE', unit .. 'extended', ttl)
  call('PEXPIRE', unit .. 'extended.at', ttl)
end
return reply
