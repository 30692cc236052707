--[[ registry/load.lua: all registrations and their version, in one step.
  KEYS[1]  queues   HASH    queue name to its pattern                    "<namespace>:{registry}:queues"
  KEYS[2]  version  STRING  the version that deliver scripts compare     "<namespace>:{registry}:version"
  KEYS[3]  limits   HASH    queue name to what its facets may have waiting  "<namespace>:{registry}:limits"
  KEYS[4]  partitions  HASH  queue name to how many it has, of those that have several
  ARGV     none
  Returns  {"OK", version or "", {name, partitions, ...} of all that have several, registered or not, name, pattern, limit or "", ...}
  Twice    reads only. Cost: 4 calls. ]]
local reply = {'OK', redis.call('GET', KEYS[2]) or '', redis.call('HGETALL', KEYS[4])}
local all = redis.call('HGETALL', KEYS[1])
local limits, of = redis.call('HGETALL', KEYS[3]), {}
for i = 1, #limits, 2 do of[limits[i]] = limits[i + 1] end
for i = 1, #all, 2 do
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3] = all[i], all[i + 1], of[all[i]] or ''
end
return reply
