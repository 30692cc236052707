--[[ stream/produce.lua: appends entries to a stream, all or none.
  KEYS[1]  log   STREAM  field payload                                "<namespace>:stream:{<name>/<shard>}:log"
  KEYS[2]  unit prefix; derived: call:<producer> STRING, its last calls, newest first, and what they were answered; ids, ids.old HASH,
           producer's id of an entry to entry id; ids.since STRING, when ids began
  ARGV[1]  producer, a word of its own for each process      ARGV[2]  number of the call, rising
  ARGV[3]  number of the call that must be the last one that ran, or "0" when none is under way
  ARGV[4]  for how long ids of producers are known, in ms, on a maintenance call, else "0"
  ARGV[5]  "1": payloads follow; "2": two each, id of the producer's own for the entry, or empty; payload
  Returns  {"OK", first id or "", ...}: the entries that were added have consecutive ids from the first one on; then pairs, index from 1
           and entry id, of those that had been added before. {"EARLY"}: the call before this one has not run, nothing was added.
  Errors   when memory is full the server refuses before anything is added.
  Twice    a repeated call finds its number and answers what the first one did.
  Clock    TIME, on maintenance calls; the server's, for ids. Cost: 1 call an entry, 2 more with an id of the producer's. ]]
local call, log, unit = redis.call, KEYS[1], KEYS[2]
local mine = unit .. 'call:' .. ARGV[1]
local before = call('GET', mine)
local calls = before and cmsgpack.unpack(before) or {}
for i = 1, #calls, 2 do
  if calls[i] == ARGV[2] then
    call('PEXPIRE', mine, 120000) -- a write, for who waits for replicas: WAIT is about what its connection has written
    return calls[i + 1]
  end
end
if ARGV[3] ~= '0' and calls[1] ~= ARGV[3] then return {'EARLY'} end
local window = tonumber(ARGV[4])
if window > 0 then
  local t = call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  local since = call('GET', unit .. 'ids.since')
  if not since or now - since >= window then
    if call('EXISTS', unit .. 'ids') == 1 then
      call('UNLINK', unit .. 'ids.old')
      call('RENAME', unit .. 'ids', unit .. 'ids.old')
      call('PEXPIRE', unit .. 'ids.old', 2 * window)
    end
    call('SET', unit .. 'ids.since', now, 'PX', 4 * window)
  end
end
local reply, argv, id = {'OK', ''}, ARGV, nil

-- Consecutive from the first one on, whatever the clock does meanwhile.
local function add(payload)
  local added = call('XADD', log, id or '*', 'payload', payload)
  if not id then
    reply[2] = added
    id = string.match(added, '^%d+') .. '-*'
  end
  return added
end

if argv[5] == '1' then
  add(argv[6])
  for i = 7, #argv do call('XADD', log, id, 'payload', argv[i]) end
else
  for i = 7, #argv, 2 do
    local own = argv[i - 1]
    local known = own ~= '' and (call('HGET', unit .. 'ids', own) or call('HGET', unit .. 'ids.old', own))
    if known then
      reply[#reply + 1] = (i - 5) / 2
      reply[#reply + 1] = known
    else
      local added = add(argv[i])
      if own ~= '' then call('HSET', unit .. 'ids', own, added) end
    end
  end
end
if window > 0 then call('PEXPIRE', unit .. 'ids', 2 * window) end
-- three calls are out at the most: whichever is repeated is among the last four
call('SET', mine, cmsgpack.pack({ARGV[2], reply, calls[1], calls[2], calls[3], calls[4], calls[5], calls[6]}), 'PX', 120000)
return reply
