--[[ registry/forget.lua: forgets how many partitions a queue had, once it is destroyed.
  KEYS[1]  queues   HASH    queue name to its pattern                    "<namespace>:{registry}:queues"
  KEYS[2]  version  STRING  a new random word with every change          "<namespace>:{registry}:version"
  KEYS[3]  partitions  HASH  queue name to how many it has, of those that have several
  ARGV[1]  channel to tell producers and consumers on     ARGV[2]  the new version     ARGV[3]  queue name
  Returns  {"CHANGED"}, or {"SAME"} when it had one, or is registered again by now
  Twice    a repeated call answers SAME and changes nothing. Cost: 4 calls. ]]
local call = redis.call
if call('HEXISTS', KEYS[1], ARGV[3]) == 1 or call('HDEL', KEYS[3], ARGV[3]) == 0 then return {'SAME'} end
call('SET', KEYS[2], ARGV[2])
call('PUBLISH', ARGV[1], ARGV[2])
return {'CHANGED'}
