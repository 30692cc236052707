--[[ stream/open.lua: registers a consumer before its first read, and tells where it stands.
  KEYS[1]  log     STREAM                                              "<namespace>:stream:{<name>/<shard>}:log"
  KEYS[2]  unit prefix; derived: consumers SET, names; trimmed STRING, the highest id removed;
           paused:<consumer> STRING; added:<consumer> STRING, how many entries were ever added when it last committed
  KEYS[3]  offset  STRING  the consumer's last committed id
  ARGV[1]  consumer      ARGV[2]  where a new consumer begins: the id before its first entry, or "$" for the end; beyond the end is the end
  Returns  {"OK", offset, trimmed, last id ever given, entries ever added, 1 when paused, entries ever added at its last commit}.
  Flags    allow-oom
  Twice    a repeated call changes nothing.
  Cost     9 calls. When the log's ids lie behind what was consumed (it was deleted, or a failover lost its end), they are moved
           forward: no new entry may get an id that was passed already. ]]
-- @include stream/ids.lua
local call, log, unit = redis.call, KEYS[1], KEYS[2]
local last, added = look_at(log)
call('SADD', unit .. 'consumers', ARGV[1])
local offset = call('GET', KEYS[3])
if not offset then
  offset = ARGV[2]
  if offset == '$' or less(last, offset) then offset = last end
  call('SET', KEYS[3], offset)
end
if less(last, offset) then
  if call('EXISTS', log) == 0 then
    call('XGROUP', 'CREATE', log, 'millrace', '0', 'MKSTREAM')
    call('XGROUP', 'DESTROY', log, 'millrace')
  end
  call('XSETID', log, offset)
end
return {'OK', offset, call('GET', unit .. 'trimmed') or '0-0', last, added, call('EXISTS', unit .. 'paused:' .. ARGV[1]),
  call('GET', unit .. 'added:' .. ARGV[1]) or 0}
