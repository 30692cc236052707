--[[ registry/change.lua: registers a queue, or takes a registration back.
  KEYS[1]  queues   HASH    queue name to its pattern                    "<namespace>:{registry}:queues"
  KEYS[2]  version  STRING  a new random word with every change          "<namespace>:{registry}:version"
  KEYS[3]  limits   HASH    queue name to what its facets may have waiting, of those that limit it  "<namespace>:{registry}:limits"
  KEYS[4]  partitions  HASH  queue name to how many it has, of those that have several; kept until the queue is destroyed
  ARGV[1]  channel to tell producers on     ARGV[2]  the new version     ARGV[3]  queue name
  ARGV[4]  pattern; absent to unregister     ARGV[5]  limit as "<messages>/<what happens at it>"; empty for none
  ARGV[6]  partitions; "0": as many as it has, a new one gets one
  Returns  {"CHANGED"}, {"SAME"} when it was registered just so, {"MISSING"} when there was nothing to unregister, or
           {"PARTITIONED", partitions} when it has another number of them: nothing is changed.
  Twice    a repeated call answers SAME or MISSING and changes nothing. Cost: 2 to 8 calls. ]]
local call = redis.call
local known = call('HGET', KEYS[1], ARGV[3])
if ARGV[4] then
  local kept = call('HGET', KEYS[4], ARGV[3])
  local has, wanted = kept or '1', ARGV[6]
  if wanted == '0' then wanted = has end
  if wanted ~= has and (known or kept) then return {'PARTITIONED', has} end
  if known == ARGV[4] and (call('HGET', KEYS[3], ARGV[3]) or '') == ARGV[5] then return {'SAME'} end
  call('HSET', KEYS[1], ARGV[3], ARGV[4])
  if ARGV[5] ~= '' then call('HSET', KEYS[3], ARGV[3], ARGV[5]) else call('HDEL', KEYS[3], ARGV[3]) end
  if wanted ~= '1' then call('HSET', KEYS[4], ARGV[3], wanted) end
else
  if not known then return {'MISSING'} end
  call('HDEL', KEYS[1], ARGV[3])
  call('HDEL', KEYS[3], ARGV[3])
end
call('SET', KEYS[2], ARGV[2])
call('PUBLISH', ARGV[1], ARGV[2])
return {'CHANGED'}
