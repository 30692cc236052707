--[[ queue/deliver.lua: puts a batch of events on the queues they match and publishes each of them to live listeners.
  KEYS[1]   registry version  STRING  only when ARGV[1] is not "-"      "<namespace>:{registry}:version"
  KEYS[..]  unit prefix of each queue that gets something                "<namespace>:queue:{<name>/<partition>}:"
  Derived   of each unit: ring, back, ids, ids.old, ids.since, f:<facet>; see queue/unit.lua
  ARGV[1]   registry version the caller routed with, or "-" when it is not checked (Cluster: other slot)
  ARGV[2]   number of events, then for each: channel to publish it on, or empty not to; element
  ARGV[..]  for each queue: its wake channel; deduplication window in ms on a maintenance call, else "0"; number of its messages;
            then for each: event index from 1, id, facet
  Returns   {"STALE"} or {"OK", queue index, event index, ...} with a pair for each message that was a duplicate.
  Errors    none of its own; out of memory is refused by the server before the first write.
  Twice     a repeated call finds the ids and enqueues nothing; the events are published again (live listening is lossy and may
            repeat). Clock: TIME, on maintenance calls. Cost: 3 calls a queue, 1 a facet, 1 a published event.
  Shape     the common path makes no closures: creating one costs as much as a command. ]]
local call, sub = redis.call, string.sub
local key, arg = 0, 3 + 2 * ARGV[2]
if ARGV[1] ~= '-' then
  if (call('GET', KEYS[1]) or '') ~= ARGV[1] then return {'STALE'} end
  key = 1
end
local first_queue_arg = arg
local reply = {'OK'}

-- The first waiting message of a facet: its turn comes last, unless it stands in the ring for messages that came back.
local function enter(unit, facet, wake)
  -- @include queue/ring.lua
  if back_count(unit, facet) == 0 then enter_ring(unit, facet, wake) end
end

-- A new deduplication window begins: the ids of this one are kept for one window more. Only the server's clock decides.
local function rotate_ids(unit, window)
  local t = call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  local since = call('GET', unit .. 'ids.since')
  if not since or now - since >= window then
    if call('EXISTS', unit .. 'ids') == 1 then
      call('RENAME', unit .. 'ids', unit .. 'ids.old')
      call('PEXPIRE', unit .. 'ids.old', 2 * window)
    end
    call('SET', unit .. 'ids.since', now, 'PX', 4 * window)
  end
end

for queue = 1, #KEYS - key do
  local unit = KEYS[key + queue]
  local wake, window, count = ARGV[arg], tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local ids_key, old_ids_key = unit .. 'ids', unit .. 'ids.old'
  arg = arg + 3
  if window > 0 then rotate_ids(unit, window) end
  if count == 1 then
    local id, facet = ARGV[arg + 1], ARGV[arg + 2]
    local known = call('SISMEMBER', old_ids_key, id) == 1
    if call('SADD', ids_key, id) == 1 and not known then
      if call('RPUSH', unit .. 'f:' .. facet, ARGV[2 + 2 * ARGV[arg]]) == 1 then enter(unit, facet, wake) end
    else
      reply[#reply + 1] = queue
      reply[#reply + 1] = tonumber(ARGV[arg])
    end
  else
    local ids = {}
    for i = 1, count do ids[i] = ARGV[arg + 3 * i - 2] end
    local seen = call('SMISMEMBER', ids_key, unpack(ids))
    local seen_before = call('SMISMEMBER', old_ids_key, unpack(ids))
    call('SADD', ids_key, unpack(ids))
    local facets, elements, in_batch = {}, {}, {}
    for i = 1, count do
      local id = ids[i]
      local event = ARGV[arg + 3 * i - 3]
      if seen[i] == 1 or in_batch[id] or seen_before[i] == 1 then
        reply[#reply + 1] = queue
        reply[#reply + 1] = tonumber(event)
      else
        in_batch[id] = true
        local facet = ARGV[arg + 3 * i - 1]
        local list = elements[facet]
        if list then
          list[#list + 1] = ARGV[2 + 2 * event]
        else
          elements[facet] = {ARGV[2 + 2 * event]}
          facets[#facets + 1] = facet
        end
      end
    end
    for i = 1, #facets do
      local facet = facets[i]
      local list = elements[facet]
      if call('RPUSH', unit .. 'f:' .. facet, unpack(list)) == #list then enter(unit, facet, wake) end
    end
  end
  if window > 0 then call('PEXPIRE', ids_key, 2 * window) end
  arg = arg + 3 * count
end
for i = 3, first_queue_arg - 2, 2 do
  if ARGV[i] ~= '' then call('PUBLISH', ARGV[i], sub(ARGV[i + 1], 14)) end
end
return reply
