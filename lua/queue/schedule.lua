--[[ queue/schedule.lua: keeps an event back for the queues it matches, until its time.
  KEYS[1]   registry version  STRING  only when ARGV[1] is not "-"      "<namespace>:{registry}:version"
  KEYS[..]  unit prefix of each queue that gets it                       "<namespace>:queue:{<name>/<partition>}:"
            In Cluster of one queue only, and then the guard, a name that no key has.
  Derived   of each unit: later, delayed, promised, ids, ids.old, ids.since, policy, f:<facet>, back; channel wake; see
            queue/unit.lua
  ARGV[1]   registry version the caller routed with, or "-" when it is not checked (Cluster: other slot)
  ARGV[2]   deduplication window in ms on a maintenance call, else "0"
  ARGV[3]   when: epoch ms, or "+" and ms from now     ARGV[4]  channel to publish it on when it is due, by the first queue that has
            it; or empty
  ARGV[5]   event id     ARGV[6]  element; the time of delivery it bears is replaced by the time it is due
  ARGV[7..] for each queue: its limit, 0 for none; what is done at the limit, as in queue/admit.lua
  Returns   {"STALE"}, or {"OK", a number for each queue: 1 it keeps it now, 0 it was a duplicate, -1 there is no room}
  Twice     a repeated call finds the id and keeps nothing more. Clock: TIME. Cost: 6 calls a queue, 5 more where there is a limit;
            O(log n) in what is held back. ]]
-- @include queue/unit.lua
-- @include queue/delayed.lua
-- @include queue/ids.lua
local key = 0
if ARGV[1] ~= '-' then
  if call('GET', KEYS[1]) ~= ARGV[1] and (ARGV[1] ~= '' or call('EXISTS', KEYS[1]) == 1) then return {'STALE'} end
  key = 1
end
local window, id, element = tonumber(ARGV[2]), ARGV[5], ARGV[6]
local now = now_ms()
local due = string.sub(ARGV[3], 1, 1) == '+' and now + tonumber(string.sub(ARGV[3], 2)) or tonumber(ARGV[3])
if due < now then due = now end
element = string.sub(element, 1, 7) .. string.format('%013d', due) .. string.sub(element, 21)
local reply, facet, published = {'OK'}, facet_of(element) or '', false

-- Whether there is room, which is then taken up at once, so that none is missing when it is due; "oldest" makes it then.
local function promise(unit, limit, how)
  local own = limit > 0 and tonumber(call('HGET', unit .. 'policy', 'l:' .. facet)) or limit
  if own == 0 then return true, nil end
  local taken = promised_count(unit, facet)
  if how ~= 'oldest' then taken = taken + call('LLEN', unit .. 'f:' .. facet) + back_count(unit, facet) end
  if taken >= own then return false, nil end
  call('ZADD', unit .. 'promised', 0, facet_prefix(facet) .. id)
  return true, how == 'oldest' and own or nil
end

local function keep(unit, limit, how)
  local room, makes_room = promise(unit, limit, how)
  if not room then
    call('SREM', unit .. 'ids', id)
    return -1
  end
  call('HSET', unit .. 'delayed', id, delayed_text(published and '' or ARGV[4], element, makes_room))
  hold_until(unit, 'later', due, '=' .. id)
  return 1
end

for queue = 1, #KEYS - 1 do -- one is the version, or the guard
  local unit = KEYS[key + queue]
  if window > 0 then rotate_ids(unit, window) end
  local known = call('SISMEMBER', unit .. 'ids.old', id) + call('HEXISTS', unit .. 'delayed', id)
  if call('SADD', unit .. 'ids', id) == 0 or known > 0 then
    reply[queue + 1] = 0
  else
    reply[queue + 1] = keep(unit, tonumber(ARGV[5 + 2 * queue]), ARGV[6 + 2 * queue])
  end
  published = published or reply[queue + 1] >= 0
  if window > 0 then call('PEXPIRE', unit .. 'ids', 2 * window) end
end
return reply
