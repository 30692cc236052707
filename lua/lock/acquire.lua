--[[ lock/acquire.lua: takes a lock if nobody holds it, and gives its holder a number higher than any before.
  KEYS[1]  lock   STRING  token of its owner, expires with the lease
  KEYS[2]  fence  STRING  the last number given
  ARGV[1]  token of who asks, unique to this attempt       ARGV[2]  lease in ms
  ARGV[3]  optional: ms after which the last number may be forgotten when nobody holds the lock
  Returns  {"HELD", fence}, or {"BUSY", ms until the lease of its owner ends; -1 if it never does}.
  Flags    allow-oom
  Twice    a repeated call by the owner begins the lease anew and answers the same number.
  Clock    TIME: the number is that of the millisecond, or one more than the last, so that it also rises after data were lost.
  Cost     5 calls. ]]
local call, lock, fence, token = redis.call, KEYS[1], KEYS[2], ARGV[1]
local owner = call('GET', lock)
if owner and owner ~= token then return {'BUSY', call('PTTL', lock)} end
local number = tonumber(call('GET', fence) or 0)
if not owner or number == 0 then
  local t = call('TIME')
  number = math.max(number + 1, t[1] * 1000 + math.floor(t[2] / 1000))
  call('SET', fence, string.format('%.0f', number))
end
call('SET', lock, token, 'PX', ARGV[2])
if ARGV[3] then call('PEXPIRE', fence, ARGV[3]) end
return {'HELD', number}
