--[[ stream/lane_show.lua: the backfills of a shard and how far they have come; or takes one back.
  KEYS[1]  unit prefix; derived: backfills SET, consumers SET, backfill:<id> HASH, see stream/lane_feed.lua
                                                                        "<namespace>:stream:{<name>/<shard>}:"
  ARGV[1]  id of a backfill that is to be cancelled, or empty      ARGV[2]  how long it is remembered, ms
  Returns  {"OK", 1 when this cancelled it, {id, fed, 1 when all was fed, 1 when cancelled, consumer, handled, skipped, ...}, ...} by id.
  Flags    allow-oom
  Twice    a repeated call changes nothing. Cost: 3 calls, 1 a backfill and 1 more for each of its consumers. ]]
local call, unit, victim = redis.call, KEYS[1], ARGV[1]
local changed = 0
if victim ~= '' then
  local job = unit .. 'backfill:' .. victim
  changed = call('HSETNX', job, 'cancelled', '1')
  call('SADD', unit .. 'backfills', victim)
  call('PEXPIRE', job, ARGV[2])
end
local reply, ids, names = {'OK', changed}, call('SMEMBERS', unit .. 'backfills'), call('SMEMBERS', unit .. 'consumers')
table.sort(ids)
table.sort(names)
for i = 1, #ids do
  local job = unit .. 'backfill:' .. ids[i]
  local known = call('HMGET', job, 'fed', 'closed', 'cancelled')
  if known[1] or known[3] then
    local one = {ids[i], known[1] or 0, known[2] and 1 or 0, known[3] and 1 or 0}
    for j = 1, #names do
      local counts = call('HMGET', job, 'done:' .. names[j], 'skipped:' .. names[j])
      one[#one + 1] = names[j]
      one[#one + 1] = counts[1] or 0
      one[#one + 1] = counts[2] or 0
    end
    reply[#reply + 1] = one
  else
    call('SREM', unit .. 'backfills', ids[i]) -- it is remembered no longer
  end
end
return reply
