--[[ queue/cancel.lua: takes a delayed delivery back, as if it had never been asked for.
  KEYS[1]  unit prefix; derived: later, delayed, promised, ids, ids.old, answer:<call>  "<namespace>:queue:{<name>/<partition>}:"
  ARGV[1]  event id     ARGV[2]  name of this call, for its repeats     ARGV[3]  optional: instead, have the delivery that is still to
           come published on this channel when it is due
  Returns  {"OK", 1, element if it was to be published, else ""}: taken back, or it will be published; {"OK", 0, ""}: there is none of
           that id that is still to come
  Flags    allow-oom
  Twice    a repeated call answers what the first one did, for a minute, and changes nothing. Cost: 9 calls. ]]
-- @include queue/unit.lua
-- @include queue/delayed.lua
-- @include queue/answer.lua
local unit, id = KEYS[1], ARGV[1]
local before = remembered(unit, ARGV[2])
if before then return before end
local stored = call('HGET', unit .. 'delayed', id)
if not stored then return {'OK', 0, ''} end
local channel, element, limit = parse_delayed(stored)
if ARGV[3] then
  call('HSET', unit .. 'delayed', id, delayed_text(ARGV[3], element, limit))
  return {'OK', 1, ''}
end
call('HDEL', unit .. 'delayed', id)
call('ZREM', unit .. 'later', '=' .. id)
call('ZREM', unit .. 'promised', facet_prefix(facet_of(element) or '') .. id)
call('SREM', unit .. 'ids', id)
call('SREM', unit .. 'ids.old', id)
return remember(unit, ARGV[2], {'OK', 1, channel ~= '' and element or ''})
