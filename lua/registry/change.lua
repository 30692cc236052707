--[[ registry/change.lua: registers a queue, or takes a registration back.
  KEYS[1]  queues   HASH    queue name to its pattern                    "<namespace>:{registry}:queues"
  KEYS[2]  version  STRING  a new random word with every change          "<namespace>:{registry}:version"
  ARGV[1]  channel to tell producers on     ARGV[2]  the new version     ARGV[3]  queue name
  ARGV[4]  pattern; absent to unregister
  Returns  {"CHANGED"}, {"SAME"} when it was registered just so, or {"MISSING"} when there was nothing to unregister.
  Twice    a repeated call answers SAME or MISSING and changes nothing. Cost: 2 to 4 calls. ]]
local call = redis.call
local known = call('HGET', KEYS[1], ARGV[3])
if ARGV[4] then
  if known == ARGV[4] then return {'SAME'} end
  call('HSET', KEYS[1], ARGV[3], ARGV[4])
else
  if not known then return {'MISSING'} end
  call('HDEL', KEYS[1], ARGV[3])
end
call('SET', KEYS[2], ARGV[2])
call('PUBLISH', ARGV[1], ARGV[2])
return {'CHANGED'}
