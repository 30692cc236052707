--[[ stream/balance.lua: a member of a consumer says that it is there, or that it leaves, and is told which shards are its own. The shards
     are divided evenly; as few as possible change hands. What is planned here gives nobody a right: each shard's lock does.
  KEYS[1]  unit prefix of the stream's first shard; derived: members:<consumer> ZSET, member scored by when it counts as gone;
           plan:<consumer> HASH, shard to member, whose name is also the channel of changes      "<namespace>:stream:{<name>/0}:"
  ARGV[1]  consumer      ARGV[2]  member, a word of its own      ARGV[3]  for how many ms it counts as there; "0" when it leaves
  ARGV[4]  number of shards
  Returns  {"OK", members, ms until another one counts as gone unless it comes again; -1 without others, own shards ...}.
  Clock    TIME.
  Twice    a repeated call finds the plan as the first one made it. Cost: 8 calls, O(members log members + shards). ]]
local call, unit, consumer, me = redis.call, KEYS[1], ARGV[1], ARGV[2]
local ttl, shards = tonumber(ARGV[3]), tonumber(ARGV[4])
local members_key, plan_key = unit .. 'members:' .. consumer, unit .. 'plan:' .. consumer
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
call('ZREMRANGEBYSCORE', members_key, '-inf', now)
if ttl > 0 then call('ZADD', members_key, now + ttl, me) else call('ZREM', members_key, me) end
local scored = call('ZRANGE', members_key, 0, -1, 'WITHSCORES')
local names, holds, next_gone = {}, {}, -1
for i = 1, #scored, 2 do
  names[#names + 1] = scored[i]
  holds[scored[i]] = 0
  if scored[i] ~= me and next_gone < 0 then next_gone = math.max(1, scored[i + 1] - now) end
end
if #names == 0 then
  call('DEL', plan_key)
  return {'OK', 0, -1}
end
local owner, planned = {}, call('HGETALL', plan_key)
for i = 1, #planned, 2 do
  if holds[planned[i + 1]] then
    owner[tonumber(planned[i])] = planned[i + 1]
    holds[planned[i + 1]] = holds[planned[i + 1]] + 1
  end
end
-- Everybody's share; where shards do not divide evenly, who holds most keeps one more than others.
table.sort(names, function(a, b)
  if holds[a] ~= holds[b] then return holds[a] > holds[b] end
  return a < b
end)
local share, least = {}, math.floor(shards / #names)
for i = 1, #names do share[names[i]] = least + (i <= shards % #names and 1 or 0) end
for shard = shards - 1, 0, -1 do
  local who = owner[shard]
  if who and holds[who] > share[who] then
    owner[shard] = nil
    holds[who] = holds[who] - 1
  end
end
local changes, taker, own = {}, 1, {}
for shard = 0, shards - 1 do
  if not owner[shard] then
    while holds[names[taker]] >= share[names[taker]] do taker = taker + 1 end
    owner[shard] = names[taker]
    holds[names[taker]] = holds[names[taker]] + 1
    changes[#changes + 1] = shard
    changes[#changes + 1] = names[taker]
  end
  if owner[shard] == me then own[#own + 1] = shard end
end
if #changes > 0 then
  call('HSET', plan_key, unpack(changes))
  call('PUBLISH', plan_key, '!')
end
call('PEXPIRE', members_key, math.max(60000, 10 * ttl))
call('PEXPIRE', plan_key, math.max(60000, 10 * ttl))
return {'OK', #names, next_gone, unpack(own)}
