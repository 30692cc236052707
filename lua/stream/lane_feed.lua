--[[ stream/lane_feed.lua: adds records of a backfill to the lane, unless consumers have enough of them waiting.
  KEYS[1]  log   STREAM                                                "<namespace>:stream:{<name>/<shard>}:log"
  KEYS[2]  unit prefix; derived: lane STREAM, see stream/lane.lua; backfills SET, ids; consumers SET; lane.offset:<consumer> STRING;
           backfill:<id> HASH: fed, how many were added; seq, number in the input of the last one; closed, cancelled;
           done:<consumer>, how many are handled; skipped:<consumer>, how many of those a later entry had overtaken
  KEYS[3]  prefix of the locks of consumers, whose names make the channels their instances listen to
  ARGV[1]  the backfill's id      ARGV[2]  how many may wait      ARGV[3]  "1": these are the last ones
  ARGV[4]  how long the backfill is remembered, ms      ARGV[..] two each: number in the input, rising; payload
  Returns  {"OK", fed}; {"FULL", fed}, {"NOBODY", 0}: no consumer is registered; {"CANCELLED", fed}; nothing was added with these.
  Errors   when memory is full the server refuses before anything is added.
  Twice    a repeated call finds the numbers there already and adds nothing. Cost: 1 call a record, 8 more, 3 a consumer. ]]
-- @include stream/ids.lua
-- @include stream/lane.lua
local call, log, unit, id = redis.call, KEYS[1], KEYS[2], ARGV[1]
local job = unit .. 'backfill:' .. id
local known = call('HMGET', job, 'fed', 'seq', 'cancelled', 'closed')
local fed, seq = tonumber(known[1] or 0), tonumber(known[2] or 0)
if known[3] then return {'CANCELLED', fed} end
if known[4] then return {'OK', fed} end
local names = call('SMEMBERS', unit .. 'consumers')
if #names == 0 then return {'NOBODY', 0} end
local done, idle = fed, {}
for i = 1, #names do
  local waits = lane_next(unit, lane_offset(unit, names[i]))
  if not waits then
    idle[#idle + 1] = names[i]
  elseif lane_field(waits, 'job') == id then
    done = math.min(done, lane_field(waits, 'n') - 1)
  else
    done = math.min(done, tonumber(call('HGET', job, 'done:' .. names[i]) or 0))
  end
end
if #ARGV > 4 and tonumber(ARGV[#ARGV - 1]) > seq and fed - done >= tonumber(ARGV[2]) then return {'FULL', fed} end
local after, added = look_at(log), 0
for i = 5, #ARGV, 2 do
  if tonumber(ARGV[i]) > seq then
    seq = tonumber(ARGV[i])
    added = added + 1
    call('XADD', unit .. 'lane', '*', 'payload', ARGV[i + 1], 'after', after, 'job', id, 'n', fed + added)
  end
end
call('SADD', unit .. 'backfills', id)
call('HSET', job, 'fed', fed + added, 'seq', string.format('%.0f', seq))
if ARGV[3] == '1' then call('HSET', job, 'closed', '1') end
call('PEXPIRE', job, ARGV[4])
for i = 1, added > 0 and #idle or 0 do call('PUBLISH', KEYS[3] .. idle[i], '!') end
return {'OK', fed + added}
