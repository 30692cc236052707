--[[ drain/store.lua: makes received batches safe, each once, before they are acknowledged to their senders.
  KEYS[1]   unit prefix; derived: inbox, seen, seen.old, seen.since, idle, channel wake     "<namespace>:drain:{<name>/0}:"
  ARGV[1]   deduplication window in ms on a maintenance call, else "0"
  ARGV[2]   how many digests a window keeps at most     ARGV[3]  how many batches may be stored
  ARGV[4..] two for each batch: digest, body; at most 256 batches
  Returns   {"OK", outcome, ...}, one for each batch: "STORED", "KNOWN" (it is safe already) or "FULL" (it was not stored)
  Errors    none of its own; when memory is full the server refuses before anything is stored.
  Twice     a repeated call finds the digests: KNOWN, which is as good as STORED. Clock: TIME, on maintenance calls.
  Cost      5 calls and one a batch; 5 more on maintenance calls. ]]
-- @include drain/unit.lua
local unit, window, most_ids = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

-- A new window begins when this one is over or holds too much; what it knows is kept for one window more.
if window > 0 then
  local now = math.floor(now_us() / 1000)
  local since = call('GET', unit .. 'seen.since')
  if not since or now - since >= window or call('SCARD', unit .. 'seen') >= most_ids then
    if call('EXISTS', unit .. 'seen') == 1 then
      call('UNLINK', unit .. 'seen.old') -- not by RENAME, which would free it on the spot
      call('RENAME', unit .. 'seen', unit .. 'seen.old')
      call('PEXPIRE', unit .. 'seen.old', 2 * window)
    end
    call('SET', unit .. 'seen.since', int(now), 'PX', 4 * window)
  end
end

local digests = {}
for i = 4, #ARGV, 2 do digests[#digests + 1] = ARGV[i] end
local seen = call('SMISMEMBER', unit .. 'seen', unpack(digests))
local seen_before = call('SMISMEMBER', unit .. 'seen.old', unpack(digests))
local room = tonumber(ARGV[3]) - call('XLEN', unit .. 'inbox')
local reply, new, in_call = {'OK'}, {}, {}
for i = 1, #digests do
  local digest = digests[i]
  if seen[i] == 1 or seen_before[i] == 1 or in_call[digest] then
    reply[i + 1] = 'KNOWN'
  elseif room <= 0 then
    reply[i + 1] = 'FULL'
  else
    reply[i + 1] = 'STORED'
    in_call[digest] = true
    new[#new + 1] = digest
    room = room - 1
    call('XADD', unit .. 'inbox', '*', 'b', ARGV[3 + 2 * i])
  end
end
if #new > 0 then
  call('SADD', unit .. 'seen', unpack(new))
  if call('DEL', unit .. 'idle') == 1 then call('PUBLISH', unit .. 'wake', '!') end
end
if window > 0 then call('PEXPIRE', unit .. 'seen', 2 * window) end
return reply
