--[[ queue/cancel.lua: takes a delayed delivery back, as if it had never been asked for.
  KEYS[1]  unit prefix; derived: later, delayed, ids, ids.old            "<namespace>:queue:{<name>/<partition>}:"
  ARGV     event ids
  Returns  {"OK", 1 or 0, ...}: 1 taken back; 0 there was none of that id that is still to come
  Flags    allow-oom
  Twice    a repeated call answers 0 and changes nothing. Cost: 4 calls an id. ]]
local call, unit = redis.call, KEYS[1]
local reply = {'OK'}
for i = 1, #ARGV do
  reply[i + 1] = call('HDEL', unit .. 'delayed', ARGV[i])
  if reply[i + 1] == 1 then
    call('ZREM', unit .. 'later', '=' .. ARGV[i])
    call('SREM', unit .. 'ids', ARGV[i])
    call('SREM', unit .. 'ids.old', ARGV[i])
  end
end
return reply
