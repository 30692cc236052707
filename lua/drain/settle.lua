--[[ drain/settle.lua: ends or extends leases of batches.
  KEYS[1]  unit prefix; derived: inbox, due, attempts, d:<id>, idle, channel wake    "<namespace>:drain:{<name>/0}:"
  ARGV     three for each batch, at most 128 batches: id, attempt, and what: "done"; "again <ms>" hands it out again after that time;
           "extend <ms>" leases it for that time from now on
  Returns  {"OK", 1 or 0, ...}: 0 when the lease was not held any more, that is, handed out again or done.
  Flags    allow-oom
  Twice    a repeated call changes nothing; for a batch that is done it answers 0. Clock: TIME.
  Cost     3 calls a batch, 2 more when it is done. ]]
-- @include drain/unit.lua
local unit, reply = KEYS[1], {'OK'}
local now = math.floor(now_us() / 1000)
for i = 1, #ARGV, 3 do
  local id, attempt, what = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local held = 1 + (call('HGET', unit .. 'attempts', id) or 0) == attempt
  if not held then
    reply[#reply + 1] = 0
  elseif what == 'done' then
    reply[#reply + 1] = call('XDEL', unit .. 'inbox', id)
    call('ZREM', unit .. 'due', id)
    if attempt > 1 then call('HDEL', unit .. 'attempts', id) end
    call('DEL', unit .. 'd:' .. id)
  else
    local at = now + tonumber(string.match(what, '%d+$'))
    call('ZADD', unit .. 'due', 'XX', int(at), id)
    reply[#reply + 1] = call('ZSCORE', unit .. 'due', id) and 1 or 0
    if at <= now and call('DEL', unit .. 'idle') == 1 then call('PUBLISH', unit .. 'wake', '!') end
  end
end
return reply
