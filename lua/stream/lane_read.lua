--[[ stream/lane_read.lua: the next entries in the lane of backfills that may be handled, all of one backfill: none before the log was read
  up to where it was when they were added.
  KEYS[1]  log   STREAM                                                "<namespace>:stream:{<name>/<shard>}:log"
  KEYS[2]  unit prefix; derived: lane STREAM, lane.offset:<consumer> STRING, backfill:<id> HASH, see stream/lane_feed.lua
  ARGV[1]  consumer      ARGV[2]  the id before the first; or empty: what the consumer has handled      ARGV[3]  how many at most
  ARGV[4]  up to which id the log was read
  Returns  {"OK", the id before the first, 1 when their backfill was cancelled, its id or "", "after" of the first that waits or "",
            id, after, payload, ...}; those of a cancelled one are told wherever the log was read to.
  Twice    it only reads. Cost: 4 calls. ]]
-- @include stream/ids.lua
-- @include stream/lane.lua
local call, log, unit, position = redis.call, KEYS[1], KEYS[2], ARGV[4]
local from = ARGV[2] ~= '' and ARGV[2] or lane_offset(unit, ARGV[1])
local page = call('XRANGE', unit .. 'lane', '(' .. from, '+', 'COUNT', ARGV[3])
local reply = {'OK', from, 0, '', ''}
local ready = position -- everything the log has up to here was read

local function is_ready(after)
  if not less(ready, after) then return true end
  if #call('XRANGE', log, '(' .. ready, after, 'COUNT', 1) > 0 then return false end
  ready = after
  return true
end

for i = 1, #page do
  local job, after = lane_field(page[i], 'job'), lane_field(page[i], 'after')
  if i == 1 then
    reply[3] = call('HEXISTS', unit .. 'backfill:' .. job, 'cancelled')
    reply[4], reply[5] = job, after
  elseif job ~= reply[4] then
    break
  end
  if reply[3] == 0 and not is_ready(after) then break end
  reply[#reply + 1] = page[i][1]
  reply[#reply + 1] = after
  reply[#reply + 1] = lane_field(page[i], 'payload')
end
return reply
