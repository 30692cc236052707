--[[ stream/open.lua: registers a consumer before its first read, and tells where it stands.
  KEYS[1]  log     STREAM                                              "<namespace>:stream:{<name>/<shard>}:log"
  KEYS[2]  unit prefix; derived: consumers SET, names; forgotten SET, names that were unregistered; trimmed STRING, the highest id removed;
           paused:<consumer> STRING; added:<consumer> STRING, how many entries were ever added when it last committed;
           fence:<consumer> STRING
  KEYS[3]  offset  STRING  the consumer's last committed id; other consumers have theirs beside it
  KEYS[4]  lock    STRING  also the channel of the active instance; other consumers have theirs beside it
  ARGV[1]  consumer      ARGV[2]  where a new consumer begins: the id before its first entry, or "$" for the end; beyond the end is the end
  ARGV[3]  "1": registers it; "0": it is to be registered already, and only put back if Redis lost everything
  Returns  {"OK", offset, trimmed, last id ever given, entries ever added, 1 when paused, entries ever added at its last commit}; or with
           these {"UNKNOWN"}: somebody has unregistered it.
  Flags    allow-oom
  Clock    TIME, for numbers of instances.
  Twice    a repeated call changes nothing.
  Cost     10 calls. When the log's ids lie behind what was consumed, it is another log than the one that was read. If it is empty, ids
           are moved forward: no new entry may get an id that was passed already. If it has entries, ids were given that were passed
           already: every consumer that is behind them begins anew, so none of them passes unseen. 5 calls a consumer then. ]]
-- @include stream/ids.lua
local call, log, unit, consumer = redis.call, KEYS[1], KEYS[2], ARGV[1]
local last, added, length = look_at(log)
local offset = call('GET', KEYS[3])

local function add_up()
  return call('GET', unit .. 'trimmed') or '0-0', last, added, call('EXISTS', unit .. 'paused:' .. consumer),
    call('GET', unit .. 'added:' .. consumer) or 0
end

if ARGV[3] == '0' and call('SISMEMBER', unit .. 'forgotten', consumer) == 1 then
  return {'UNKNOWN', offset or '0-0', add_up()}
end
if call('SADD', unit .. 'consumers', consumer) == 1 then call('SREM', unit .. 'forgotten', consumer) end
if not offset then
  offset = ARGV[2]
  if offset == '$' or less(last, offset) then offset = last end
  call('SET', KEYS[3], offset)
end
if less(last, offset) and length > 0 then
  local offsets, locks = string.sub(KEYS[3], 1, -#consumer - 1), string.sub(KEYS[4], 1, -#consumer - 1)
  local names = call('SMEMBERS', unit .. 'consumers')
  for i = 1, #names do
    local name = names[i]
    if less(last, call('GET', offsets .. name) or '0-0') then
      call('SET', offsets .. name, '0-0')
      call('SET', unit .. 'added:' .. name, '9007199254740991') -- so that it is told of it, whoever reads next
      if name ~= consumer then
        local t = call('TIME')
        local number = math.max(tonumber(call('GET', unit .. 'fence:' .. name) or 0) + 1, t[1] * 1000 + math.floor(t[2] / 1000))
        call('SET', unit .. 'fence:' .. name, string.format('%.0f', number))
        call('PUBLISH', locks .. name, '!')
      end
    end
  end
  call('DEL', unit .. 'trimmed')
  offset = '0-0'
elseif less(last, offset) then
  if call('EXISTS', log) == 0 then
    call('XGROUP', 'CREATE', log, 'millrace', '0', 'MKSTREAM')
    call('XGROUP', 'DESTROY', log, 'millrace')
  end
  call('XSETID', log, offset)
end
return {'OK', offset, add_up()}
