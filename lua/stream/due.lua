--[[ stream/due.lua: moves repair notes that are due to the stream, each whole or not at all.
  KEYS[1]  log   STREAM  field payload                                "<namespace>:stream:{<name>/<shard>}:log"
  KEYS[2]  unit prefix; derived: notes ZSET, notes.body HASH, notes.again HASH, see stream/note.lua
  ARGV[1]  age in ms at which a note is due      ARGV[2]  how many at most, 1 to 1,000
  Returns  {"OK", moved, ms until the next is due; -1 if there is none}.
  Errors   when memory is full the server refuses before anything is moved.
  Twice    a repeated call moves what is due next; nothing is moved twice.
  Clock    TIME. A record that was noted again meanwhile gets a new note of that time. Cost: 1 call a note, 6 more. ]]
local call, log, unit = redis.call, KEYS[1], KEYS[2]
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due = call('ZRANGEBYSCORE', unit .. 'notes', '-inf', now - ARGV[1], 'LIMIT', 0, ARGV[2])
local n = #due
if n > 0 then
  local bodies = call('HMGET', unit .. 'notes.body', unpack(due))
  local again = call('HMGET', unit .. 'notes.again', unpack(due))
  local over, anew = {}, {}
  for i = 1, n do
    if bodies[i] then call('XADD', log, '*', 'payload', bodies[i]) end
    if again[i] and bodies[i] then
      anew[#anew + 1] = again[i]
      anew[#anew + 1] = due[i]
    else
      over[#over + 1] = due[i]
    end
  end
  call('HDEL', unit .. 'notes.again', unpack(due))
  if #anew > 0 then call('ZADD', unit .. 'notes', unpack(anew)) end
  if #over > 0 then
    call('ZREM', unit .. 'notes', unpack(over))
    call('HDEL', unit .. 'notes.body', unpack(over))
  end
end
local first = call('ZRANGE', unit .. 'notes', 0, 0, 'WITHSCORES')[2]
return {'OK', n, first and math.max(0, first + ARGV[1] - now) or -1}
