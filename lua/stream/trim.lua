--[[ stream/trim.lua: removes what every registered consumer has committed; or, if told so, everything before an id.
  KEYS[1]  log     STREAM                                              "<namespace>:stream:{<name>/<shard>}:log"
  KEYS[2]  unit prefix; derived: consumers SET; trimmed STRING, the highest id removed; lane STREAM and lane.offset:<consumer> STRING,
           see stream/lane.lua: of the lane as well what all have handled; and nothing that came after an entry waiting there, for it is
           to be found out what of the lane was overtaken
  KEYS[3]  prefix of the offsets of consumers, to which their names are added
  ARGV[1]  how many at most in one call      ARGV[2]  remove what comes before this id, whoever has not read it; or empty
  Returns  {"OK", removed, up to which id may be removed or "", 1 when there is more to remove, ...}, then of each consumer
           name, offset, for how many ms its first unread entry has been there; -1 if it has read all.
  Flags    allow-oom
  Clock    TIME.
  Twice    a repeated call removes what is left to remove. Cost: O(removed), bounded by ARGV[1]. Only XTRIM MINID, never XDEL: both on
           one stream have left it damaged (redis/redis#15815). ]]
-- @include stream/ids.lua
-- @include stream/lane.lua
local call, log, unit = redis.call, KEYS[1], KEYS[2]
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local names = call('SMEMBERS', unit .. 'consumers')
table.sort(names)
local reply, least, lane_least = {'OK', 0, '', 0}, nil, nil
local lane = call('EXISTS', unit .. 'lane') == 1
local last = look_at(log)
for i = 1, #names do
  local offset = call('GET', KEYS[3] .. names[i]) or '0-0'
  if less(last, offset) then offset = '0-0' end -- of another log; its consumer begins this one anew
  if not least or less(offset, least) then least = offset end
  if lane then
    local handled = lane_offset(unit, names[i])
    local waits = lane_next(unit, handled)
    if not lane_least or less(handled, lane_least) then lane_least = handled end
    if waits and less(lane_field(waits, 'after'), least) then least = lane_field(waits, 'after') end
  end
  reply[#reply + 1] = names[i]
  reply[#reply + 1] = offset
  local unread = call('XRANGE', log, '(' .. offset, '+', 'COUNT', 1)[1]
  reply[#reply + 1] = unread and math.max(0, now - string.match(unread[1], '^%d+')) or -1
end
local below = ARGV[2]
if below == '' and least then below = next_id(least) end
local removed, more = 0, 0
local highest = below ~= '' and call('XREVRANGE', log, '(' .. below, '-', 'COUNT', 1)[1]
if highest then
  local trimmed = call('GET', unit .. 'trimmed')
  if not trimmed or less(trimmed, highest[1]) then call('SET', unit .. 'trimmed', highest[1]) end
  -- Whole nodes first, so that one call never removes more than it may; then what is left of them in the last one.
  removed = call('XTRIM', log, 'MINID', '~', below, 'LIMIT', ARGV[1])
  if removed == 0 then removed = call('XTRIM', log, 'MINID', '=', below) end
  if #call('XRANGE', log, '-', '(' .. below, 'COUNT', 1) > 0 then more = 1 end
end
if lane_least then call('XTRIM', unit .. 'lane', 'MINID', '~', next_id(lane_least), 'LIMIT', ARGV[1]) end
reply[2], reply[3], reply[4] = removed, below, more
return reply
