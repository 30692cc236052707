--[[ lock/release.lua: gives a lock back, by its owner only, and wakes those who wait for it.
  KEYS[1]  lock     STRING  token of its owner; also the name of the channel on which waiting ones are woken
  KEYS[2]  waiting  LIST    optional: gets an element, for clients that wait with BRPOP
  ARGV[1]  token of the owner
  Returns  {"RELEASED"} or {"LOST"}: it was not held by this token any more.
  Flags    allow-oom
  Twice    a repeated call answers LOST and changes nothing. Cost 3 calls. ]]
local call = redis.call
if call('GET', KEYS[1]) ~= ARGV[1] then return {'LOST'} end
call('DEL', KEYS[1])
if KEYS[2] then
  call('DEL', KEYS[2])
  call('RPUSH', KEYS[2], '1')
end
call('PUBLISH', KEYS[1], '!')
return {'RELEASED'}
