--[[ lock/members.lua: who is alive of a group. Which locks they hold is asked of those, they may lie in other slots.
  KEYS[1]  members  ZSET  member by the epoch ms until which it counts as alive
  Returns  {"OK", now ms, member, until when it counts as alive, ...}
  Clock    TIME.
  Twice    it only reads. Cost: 2 calls. ]]
local call = redis.call
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
return {'OK', now, unpack(call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1000))}
