--[[ stream/members.lua: who reads a stream as members of a consumer, and which shards are planned for whom.
  KEYS[1]  unit prefix of the stream's first shard; derived: members:<consumer> ZSET, plan:<consumer> HASH, see stream/balance.lua
                                                                        "<namespace>:stream:{<name>/0}:"
  ARGV[1]  consumer
  Returns  {"OK", now ms, {member, when it counts as gone, ...}, {shard, member, ...}}, without members that are gone.
  Clock    TIME.
  Twice    it only reads. Cost: 3 calls. ]]
local call = redis.call
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
return {'OK', now, call('ZRANGEBYSCORE', KEYS[1] .. 'members:' .. ARGV[1], '(' .. now, '+inf', 'WITHSCORES'),
  call('HGETALL', KEYS[1] .. 'plan:' .. ARGV[1])}
