--[[ stream/unregister.lua: forgets a consumer: the stream is not kept for it any more. Its dead letters stay.
  KEYS[1]  unit prefix; derived: consumers SET; forgotten SET, names that were unregistered, by which those who still run hear of it;
           paused:, added: and lane.offset:<consumer> STRING             "<namespace>:stream:{<name>/<shard>}:"
  KEYS[2]  offset  STRING  the consumer's last committed id
  KEYS[3]  lock    STRING  also the channel of the active instance
  ARGV[1]  consumer
  Returns  {"OK", 1 when it was registered}.
  Flags    allow-oom
  Twice    a repeated call changes nothing. Cost 5 calls. ]]
local call = redis.call
local known = call('SREM', KEYS[1] .. 'consumers', ARGV[1])
call('DEL', KEYS[2], KEYS[1] .. 'paused:' .. ARGV[1], KEYS[1] .. 'added:' .. ARGV[1],
  KEYS[1] .. 'lane.offset:' .. ARGV[1])
if known == 1 then
  call('SADD', KEYS[1] .. 'forgotten', ARGV[1])
  call('PUBLISH', KEYS[3], '!')
end
return {'OK', known}
