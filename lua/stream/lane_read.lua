--[[ stream/lane_read.lua: the next entries in the lane of backfills, all of one backfill.
  KEYS[1]  unit prefix; derived: lane STREAM, lane.offset:<consumer> STRING, backfill:<id> HASH, see stream/lane_feed.lua
                                                                        "<namespace>:stream:{<name>/<shard>}:"
  ARGV[1]  consumer      ARGV[2]  the id before the first; or empty: what the consumer has handled      ARGV[3]  how many at most
  Returns  {"OK", the id before the first, 1 when their backfill was cancelled, id, after, payload, ...}.
  Twice    it only reads. Cost: 3 calls. ]]
-- @include stream/lane.lua
local call, unit = redis.call, KEYS[1]
local from = ARGV[2] ~= '' and ARGV[2] or lane_offset(unit, ARGV[1])
local page = call('XRANGE', unit .. 'lane', '(' .. from, '+', 'COUNT', ARGV[3])
local reply = {'OK', from, 0}
local job
for i = 1, #page do
  local of = lane_field(page[i], 'job')
  if job and of ~= job then break end
  if not job then
    job = of
    reply[3] = call('HEXISTS', unit .. 'backfill:' .. of, 'cancelled')
  end
  reply[#reply + 1] = page[i][1]
  reply[#reply + 1] = lane_field(page[i], 'after')
  reply[#reply + 1] = lane_field(page[i], 'payload')
end
return reply
