--[[ stream/lane_commit.lua: a consumer has handled everything in the lane up to an id; what it could not is put aside in the same step.
  KEYS[1]  unit prefix; derived: lane STREAM, lane.offset:<consumer> STRING, backfill:<id> HASH, see stream/lane_feed.lua;
           consumers SET, dead:<consumer> STREAM                        "<namespace>:stream:{<name>/<shard>}:"
  KEYS[2]  lock    STRING  token of the active instance      KEYS[3]  fence  STRING  the last number given
  ARGV[1]  consumer      ARGV[2]  token      ARGV[3]  fence of the caller      ARGV[4]  id up to which everything is handled
  ARGV[5]  how many of those were left out, since a later entry of the log had overtaken them
  ARGV[..] four each, for what is put aside: entry id, payload, attempts, cause
  Returns  {"OK", offset, 1 when there is more in the lane}; or with these {"FENCED"}, {"OLDER"}, {"UNKNOWN"}, as stream/commit.lua.
  Flags    allow-oom
  Twice    a repeated call finds the offset where it left it, and counts and puts aside nothing again.
  Cost     9 calls, 1 more for each entry put aside. ]]
-- @include stream/ids.lua
-- @include stream/lane.lua
local call, unit, consumer, id = redis.call, KEYS[1], ARGV[1], ARGV[4]
local offset = lane_offset(unit, consumer)
local owner = call('GET', KEYS[2])
local status = 'OK'
if call('SISMEMBER', unit .. 'consumers', consumer) == 0 then
  status = 'UNKNOWN'
elseif call('GET', KEYS[3]) ~= ARGV[3] or (owner and owner ~= ARGV[2]) then
  status = 'FENCED'
elseif less(id, offset) then
  status = 'OLDER'
elseif less(offset, id) then
  for i = 6, #ARGV, 4 do
    call('XADD', unit .. 'dead:' .. consumer, '*', 'id', ARGV[i], 'payload', ARGV[i + 1], 'attempts', ARGV[i + 2],
      'cause', ARGV[i + 3])
  end
  local entry = call('XREVRANGE', unit .. 'lane', id, '-', 'COUNT', 1)[1]
  local job = entry and unit .. 'backfill:' .. lane_field(entry, 'job')
  if job and call('EXISTS', job) == 1 then
    call('HSET', job, 'done:' .. consumer, lane_field(entry, 'n'))
    if ARGV[5] ~= '0' then call('HINCRBY', job, 'skipped:' .. consumer, ARGV[5]) end
  end
  call('SET', unit .. 'lane.offset:' .. consumer, id)
  offset = id
end
return {status, offset, lane_next(unit, offset) and 1 or 0}
