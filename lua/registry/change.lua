--[[ registry/change.lua: registers a queue, or takes a registration back.
  KEYS[1]  queues   HASH    queue name to its pattern                    "<namespace>:{registry}:queues"
  KEYS[2]  version  STRING  a new random word with every change          "<namespace>:{registry}:version"
  KEYS[3]  limits   HASH    queue name to what its facets may have waiting, of those that limit it  "<namespace>:{registry}:limits"
  ARGV[1]  channel to tell producers on     ARGV[2]  the new version     ARGV[3]  queue name
  ARGV[4]  pattern; absent to unregister     ARGV[5]  limit as "<messages>/<what happens at it>"; empty for none
  Returns  {"CHANGED"}, {"SAME"} when it was registered just so, or {"MISSING"} when there was nothing to unregister.
  Twice    a repeated call answers SAME or MISSING and changes nothing. Cost: 2 to 6 calls. ]]
local call = redis.call
local known = call('HGET', KEYS[1], ARGV[3])
if ARGV[4] then
  if known == ARGV[4] and (call('HGET', KEYS[3], ARGV[3]) or '') == ARGV[5] then return {'SAME'} end
  call('HSET', KEYS[1], ARGV[3], ARGV[4])
  if ARGV[5] ~= '' then call('HSET', KEYS[3], ARGV[3], ARGV[5]) else call('HDEL', KEYS[3], ARGV[3]) end
else
  if not known then return {'MISSING'} end
  call('HDEL', KEYS[1], ARGV[3])
  call('HDEL', KEYS[3], ARGV[3])
end
call('SET', KEYS[2], ARGV[2])
call('PUBLISH', ARGV[1], ARGV[2])
return {'CHANGED'}
