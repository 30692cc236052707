--[[ queue/schedule.lua: keeps an event back for the queues it matches, until its time.
  KEYS[1]   registry version  STRING  only when ARGV[1] is not "-"      "<namespace>:{registry}:version"
  KEYS[..]  unit prefix of each queue that gets it                       "<namespace>:queue:{<name>/<partition>}:"
            In Cluster of one queue only, and then the guard, a name that no key has.
  Derived   of each unit: later, delayed, ids, ids.old, ids.since; channel wake; see queue/unit.lua
  ARGV[1]   registry version the caller routed with, or "-" when it is not checked (Cluster: other slot)
  ARGV[2]   deduplication window in ms on a maintenance call, else "0"
  ARGV[3]   when: epoch ms, or "+" and ms from now     ARGV[4]  channel to publish it on when it is due, by the first queue; or empty
  ARGV[5]   event id     ARGV[6]  element; the time of delivery it bears is replaced by the time it is due
  Returns   {"STALE"}, or {"OK", a 1 for each queue that keeps it now or a 0 where it was a duplicate}
  Twice     a repeated call finds the id and keeps nothing more. Clock: TIME. Cost: 6 calls a queue; O(log n) in what is held back. ]]
-- @include queue/unit.lua
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
local reply = {'OK'}
for queue = 1, #KEYS - 1 do -- one is the version, or the guard
  local unit = KEYS[key + queue]
  if window > 0 then rotate_ids(unit, window) end
  local known = call('SISMEMBER', unit .. 'ids.old', id) + call('HEXISTS', unit .. 'delayed', id)
  if call('SADD', unit .. 'ids', id) == 0 or known > 0 then
    reply[queue + 1] = 0
  else
    local channel = queue == 1 and ARGV[4] or ''
    call('HSET', unit .. 'delayed', id, #channel .. ':' .. channel .. element)
    hold_until(unit, 'later', due, '=' .. id)
    reply[queue + 1] = 1
  end
  if window > 0 then call('PEXPIRE', unit .. 'ids', 2 * window) end
end
return reply
