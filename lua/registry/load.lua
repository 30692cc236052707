--[[ registry/load.lua: all registrations and their version, in one step.
  KEYS[1]  queues   HASH    queue name to its pattern                    "<namespace>:{registry}:queues"
  KEYS[2]  version  STRING  the version that deliver scripts compare     "<namespace>:{registry}:version"
  ARGV     none
  Returns  {"OK", version or "", name, pattern, ...}
  Twice    reads only. Cost: 2 calls. ]]
local reply = {'OK', redis.call('GET', KEYS[2]) or ''}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all do reply[i + 2] = all[i] end
return reply
