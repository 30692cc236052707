--[[ stream/seek.lua: moves a consumer's offset to where its operator wants it, and takes the active instance's number away.
  KEYS[1]  log     STREAM                                              "<namespace>:stream:{<name>/<shard>}:log"
  KEYS[2]  unit prefix; derived: consumers SET
  KEYS[3]  offset  STRING  the consumer's last committed id
  KEYS[4]  lock    STRING  also the channel of the active instance      KEYS[5]  fence  STRING  the last number given
  ARGV[1]  consumer      ARGV[2]  the id before the next entry, or "$" for the end; beyond the end is the end, or ids would have to be
           moved there, and all later ones bear that time for ever
  Returns  {"OK", the offset from before, the offset now}; {"UNKNOWN"}: it is not registered, nothing was changed.
  Flags    allow-oom
  Twice    a repeated call does it once more. What the active instance holds is refused when it commits; it goes on from here.
  Clock    TIME. Cost: 9 calls. ]]
-- @include stream/ids.lua
local call = redis.call
local before = call('GET', KEYS[3])
if not before then return {'UNKNOWN'} end
local id, last = ARGV[2], look_at(KEYS[1])
if id == '$' or less(last, id) then id = last end
call('SADD', KEYS[2] .. 'consumers', ARGV[1])
call('SET', KEYS[3], id)
local t = call('TIME')
local number = math.max(tonumber(call('GET', KEYS[5]) or 0) + 1, t[1] * 1000 + math.floor(t[2] / 1000))
call('SET', KEYS[5], string.format('%.0f', number))
call('PUBLISH', KEYS[4], '!')
return {'OK', before, id}
