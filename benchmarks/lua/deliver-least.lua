--[[ deliver-least.lua: the commands that one delivery cannot do without, and nothing else: registrations unchanged, id not known from before
  nor now, into its facet, to live listeners. What any script that promises as much costs at least.
  KEYS[1] registry version, KEYS[2] unit prefix. ARGV: as of queue/deliver.lua with one event. ]]
local call, unit = redis.call, KEYS[2]
if call('GET', KEYS[1]) ~= ARGV[1] then return {'STALE'} end
if call('SISMEMBER', unit .. 'ids.old', ARGV[6]) == 0 and call('SADD', unit .. 'ids', ARGV[6]) == 1 then
  call('RPUSH', unit .. 'f:' .. ARGV[7], ARGV[5])
end
call('PUBLISH', ARGV[4], ARGV[5])
return 1
