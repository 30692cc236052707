--[[ stream/show.lua: what a stream holds and where its consumers stand.
  KEYS[1]  log     STREAM                                              "<namespace>:stream:{<name>/<shard>}:log"
  KEYS[2]  unit prefix; derived: consumers SET, trimmed STRING, notes ZSET, paused:<consumer> STRING, dead:<consumer> STREAM;
           lane STREAM, lane.offset:<consumer> STRING, see stream/lane.lua
  KEYS[3]  prefix of the offsets of consumers      KEYS[4]  prefix of their locks; names are added to both
  Returns  {"OK", now ms, length, first id or "", last id ever given, trimmed, notes, time of the oldest note; -1 without,
           {name, offset, first unread id or "", dead letters, 1 when paused, 1 when an instance is active,
            offset in the lane of backfills, 1 when there is more in it}, ...} by name.
  Twice    it only reads.
  Clock    TIME. Cost: 8 calls, 8 more a consumer. ]]
-- @include stream/ids.lua
-- @include stream/lane.lua
local call, log, unit = redis.call, KEYS[1], KEYS[2]
local t = call('TIME')
local last, _, length = look_at(log)
local first = call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
local note = call('ZRANGE', unit .. 'notes', 0, 0, 'WITHSCORES')[2]
local reply = {'OK', t[1] * 1000 + math.floor(t[2] / 1000), length, first and first[1] or '', last,
  call('GET', unit .. 'trimmed') or '0-0', call('ZCARD', unit .. 'notes'), note or -1}
local names = call('SMEMBERS', unit .. 'consumers')
table.sort(names)
for i = 1, #names do
  local name = names[i]
  local offset = call('GET', KEYS[3] .. name) or '0-0'
  local unread = call('XRANGE', log, '(' .. offset, '+', 'COUNT', 1)[1]
  reply[#reply + 1] = {name, offset, unread and unread[1] or '', call('XLEN', unit .. 'dead:' .. name),
    call('EXISTS', unit .. 'paused:' .. name), call('EXISTS', KEYS[4] .. name), lane_offset(unit, name),
    lane_next(unit, lane_offset(unit, name)) and 1 or 0}
end
return reply
