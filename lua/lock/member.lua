--[[ lock/member.lua: says that a member of a group is alive, or that it leaves, and tells who is there.
  KEYS[1]  members  ZSET  member by the epoch ms until which it counts as alive; also the name of the channel on which all are told
                          that somebody came or went
  KEYS[2]  order    ZSET  member by a number that rises with each that joins
  ARGV[1]  member     ARGV[2]  for how many ms from now it counts as alive; "0": it leaves
  Returns  {"OK", members, how many of them joined before this one, ms until the next of the others counts as dead or -1}
  Flags    allow-oom
  Twice    a repeated call counts from now again; whoever left has left. Both keys end with the last member.
  Clock    TIME. Cost: 10 calls; O(log n) in members, and 64 dead ones at most. ]]
local call, members, order, me, ttl = redis.call, KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local changed = 0
local over = call('ZRANGEBYSCORE', members, '-inf', now, 'LIMIT', 0, 64)
if ttl == 0 then over[#over + 1] = me end
if #over > 0 then
  changed = call('ZREM', members, unpack(over))
  call('ZREM', order, unpack(over))
end
if ttl > 0 then
  changed = changed + call('ZADD', members, now + ttl, me)
  if not call('ZSCORE', order, me) then
    local last = call('ZRANGE', order, -1, -1, 'WITHSCORES')[2] or 0
    call('ZADD', order, last + 1, me)
  end
  local left = math.max(ttl, call('PTTL', members))
  call('PEXPIRE', members, left)
  call('PEXPIRE', order, left)
end
if changed > 0 then call('PUBLISH', members, '!') end
local next_dead, first = -1, call('ZRANGE', members, 0, 1, 'WITHSCORES')
for i = #first - 1, 1, -2 do
  if first[i] ~= me then next_dead = math.max(0, first[i + 1] - now) end
end
return {'OK', call('ZCARD', members), call('ZRANK', order, me) or 0, next_dead}
