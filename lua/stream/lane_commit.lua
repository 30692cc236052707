--[[ stream/lane_commit.lua: a consumer has handled everything in the lane up to an id; what it could not is put aside in the same step.
  KEYS[1]  unit prefix; derived: lane STREAM, lane.offset:<consumer> STRING, backfill:<id> HASH, see stream/lane_feed.lua;
           consumers SET, dead:<consumer> STREAM                        "<namespace>:stream:{<name>/<shard>}:"
  KEYS[2]  lock    STRING  token of the active instance      KEYS[3]  fence  STRING  the last number given
  ARGV[1]  consumer      ARGV[2]  token      ARGV[3]  fence of the caller      ARGV[4]  how many parts follow, one for each backfill in turn
  ARGV[..] two each: id up to which everything is handled; how many of the part were left out, since a later entry of the log had
           overtaken them
  ARGV[..] four each, for what is put aside: entry id, payload, attempts, cause
  Returns  {"OK", offset, 1 when there is more in the lane}; or with these {"FENCED"}, {"OLDER"}, {"UNKNOWN"}, as stream/commit.lua.
  Flags    allow-oom
  Twice    a repeated call finds the offset where it left it, and counts and puts aside nothing again.
  Cost     5 calls, 4 more a part, 1 more for each entry put aside. ]]
-- @include stream/ids.lua
-- @include stream/lane.lua
local call, unit, consumer, ids_end = redis.call, KEYS[1], ARGV[1], 3 + 2 * ARGV[4]
local id = ARGV[ids_end]
local offset = lane_offset(unit, consumer)
local owner = call('GET', KEYS[2])
local status = 'OK'

local function count(last, skipped)
  local entry = call('XREVRANGE', unit .. 'lane', last, '-', 'COUNT', 1)[1]
  local job = entry and unit .. 'backfill:' .. lane_field(entry, 'job')
  if job and call('EXISTS', job) == 1 then
    call('HSET', job, 'done:' .. consumer, lane_field(entry, 'n'))
    if skipped ~= '0' then call('HINCRBY', job, 'skipped:' .. consumer, skipped) end
  end
end

if call('SISMEMBER', unit .. 'consumers', consumer) == 0 then
  status = 'UNKNOWN'
elseif call('GET', KEYS[3]) ~= ARGV[3] or (owner and owner ~= ARGV[2]) then
  status = 'FENCED'
elseif less(id, offset) then
  status = 'OLDER'
elseif less(offset, id) then
  for i = ids_end + 2, #ARGV, 4 do
    call('XADD', unit .. 'dead:' .. consumer, '*', 'id', ARGV[i], 'payload', ARGV[i + 1], 'attempts', ARGV[i + 2],
      'cause', ARGV[i + 3])
  end
  for i = 5, ids_end, 2 do
    if less(offset, ARGV[i]) then count(ARGV[i], ARGV[i + 1]) end
  end
  call('SET', unit .. 'lane.offset:' .. consumer, id)
  offset = id
end
return {status, offset, lane_next(unit, offset) and 1 or 0}
