--[[ queue/dwell.lua: adds to the histogram of how long messages waited, of all processes together.
  KEYS[1]  unit prefix; derived: dwell HASH, bucket to count, "sum" to ms; ring, ids, ids.old, leases, policy: whether there is a queue
                                                                         "<namespace>:queue:{<name>/<partition>}:"
  ARGV[1]  what to add to the sum, in ms      ARGV[2]  how long it is kept behind the last addition, in ms
  ARGV[3..]  bucket and what to add to it, in pairs, 1 to 26
  Returns  {"OK"}; nothing is added where nothing else is left: the queue was destroyed
  Twice    counts twice; who does not know whether it ran leaves it. Cost: 3 calls and 1 a bucket. ]]
local call, unit = redis.call, KEYS[1]
local key = unit .. 'dwell'
if call('EXISTS', key, unit .. 'ring', unit .. 'ids', unit .. 'ids.old', unit .. 'leases', unit .. 'policy') == 0 then return {'OK'} end
for i = 3, #ARGV, 2 do call('HINCRBY', key, ARGV[i], ARGV[i + 1]) end
call('HINCRBY', key, 'sum', ARGV[1])
call('PEXPIRE', key, ARGV[2])
return {'OK'}
