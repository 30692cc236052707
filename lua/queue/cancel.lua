--[[ queue/cancel.lua: takes a delayed delivery back, as if it had never been asked for.
  KEYS[1]  unit prefix; derived: later, delayed, ids, ids.old            "<namespace>:queue:{<name>/<partition>}:"
  ARGV[1]  event id     ARGV[2]  optional: instead, have the delivery that is still to come published on this channel when it is due
  Returns  {"OK", 1, element if it was to be published, else ""}: taken back, or it will be published; {"OK", 0, ""}: there is none of
           that id that is still to come
  Flags    allow-oom
  Twice    a repeated call answers 0, or 1 again, and changes nothing. Cost: 5 calls. ]]
local call, unit, id = redis.call, KEYS[1], ARGV[1]
local stored = call('HGET', unit .. 'delayed', id)
if not stored then return {'OK', 0, ''} end
local colon = string.find(stored, ':', 1, true)
local length = tonumber(string.sub(stored, 1, colon - 1))
local element = string.sub(stored, colon + 1 + length)
if ARGV[2] then
  call('HSET', unit .. 'delayed', id, #ARGV[2] .. ':' .. ARGV[2] .. element)
  return {'OK', 1, ''}
end
call('HDEL', unit .. 'delayed', id)
call('ZREM', unit .. 'later', '=' .. id)
call('SREM', unit .. 'ids', id)
call('SREM', unit .. 'ids.old', id)
return {'OK', 1, length > 0 and element or ''}
