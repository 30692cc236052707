--[[ stream/pause.lua: stops all instances of a consumer from reading on, or lets them go on.
  KEYS[1]  unit prefix; derived: paused:<consumer> STRING              "<namespace>:stream:{<name>/<shard>}:"
  KEYS[2]  lock, whose channel the active instance listens to
  ARGV[1]  consumer      ARGV[2]  "1" to pause, "0" to go on
  Returns  {"OK", 1 when this changed something}.
  Flags    allow-oom
  Twice    a repeated call changes nothing. Cost 2 calls. ]]
local call, key = redis.call, KEYS[1] .. 'paused:' .. ARGV[1]
local changed = 0
if ARGV[2] == '1' then
  if call('SET', key, '1', 'NX') then changed = 1 end
else
  changed = call('DEL', key)
end
call('PUBLISH', KEYS[2], '!')
return {'OK', changed}
