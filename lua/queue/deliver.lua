--[[ queue/deliver.lua: puts a batch of events on the queues they match and publishes each of them to live listeners.
  KEYS[1]   registry version  STRING  only when ARGV[1] is not "-"      "<namespace>:{registry}:version"
  KEYS[..]  unit prefix of each queue that gets something                "<namespace>:queue:{<name>/<partition>}:"
            In Cluster of one queue only, and then the guard, a name that no key has.
  Derived   of each unit: ring, back, ids, ids.old, ids.since, delayed, f:<facet>; channel wake; see queue/unit.lua
  ARGV[1]   registry version the caller routed with, or "-" when it is not checked (Cluster: other slot)
  ARGV[2]   deduplication window in ms on a maintenance call; else "-1" to look for the ids of delayed deliveries, too, or "0"
  ARGV[3]   number of events, then for each: channel to publish it on, or empty not to; element; id; facet
  ARGV[..]  for each queue: "0" when it gets all events, else how many, and the index from 1 of each
  Returns   1, or {"STALE"}, or {"OK", queue index, event index, ...} with a pair for each message that was a duplicate; "HOLDING" for
            "OK", on a maintenance call, if there are delayed deliveries: their ids outlive the window.
  Errors    none of its own; when memory is full the server refuses before anything is enqueued.
  Twice     a repeated call finds the ids and enqueues nothing; the events are published again (live listening is lossy and may
            repeat). Clock: TIME, on maintenance calls. Cost: 3 calls a queue, 1 a facet, 1 a published event. ]]
local call = redis.call
local key = 0
if ARGV[1] ~= '-' then
  if call('GET', KEYS[1]) ~= ARGV[1] and (ARGV[1] ~= '' or call('EXISTS', KEYS[1]) == 1) then return {'STALE'} end
  key = 1
end
local window, events = tonumber(ARGV[2]), tonumber(ARGV[3])
local arg = 4 + 4 * events
local reply, status = 1, 'OK'

local function duplicate(queue, event)
  if reply == 1 then reply = {status} end
  reply[#reply + 1] = queue
  reply[#reply + 1] = event
end

-- Facets that got their first waiting message: their turns come last, unless they stand in the ring for messages that came back.
local function enter(unit, facets)
  -- @include queue/ring.lua
  local entering = facets
  if call('EXISTS', unit .. 'back') == 1 then
    entering = {}
    for i = 1, #facets do
      if back_count(unit, facets[i]) == 0 then entering[#entering + 1] = facets[i] end
    end
  end
  if #entering > 0 then enter_ring(unit, unpack(entering)) end
end

local function rotate(unit)
  -- @include queue/ids.lua
  rotate_ids(unit, window)
end

-- Several events for one queue: three calls for all their ids, one for each facet.
local function enqueue_many(queue, unit, count, look)
  local chosen, ids = {}, {}
  for i = 1, count == 0 and events or count do
    chosen[i] = count == 0 and i or tonumber(ARGV[arg + i])
    ids[i] = ARGV[2 + 4 * chosen[i]]
  end
  local seen = call('SMISMEMBER', unit .. 'ids', unpack(ids))
  local seen_before = call('SMISMEMBER', unit .. 'ids.old', unpack(ids))
  call('SADD', unit .. 'ids', unpack(ids))
  local held = look and call('HMGET', unit .. 'delayed', unpack(ids)) or {}
  local facets, elements, in_batch = {}, {}, {}
  for i = 1, #ids do
    local id, event = ids[i], chosen[i]
    if seen[i] == 1 or in_batch[id] or seen_before[i] == 1 or held[i] then
      duplicate(queue, event)
    else
      in_batch[id] = true
      local facet = ARGV[3 + 4 * event]
      local list = elements[facet]
      if list then
        list[#list + 1] = ARGV[1 + 4 * event]
      else
        elements[facet] = {ARGV[1 + 4 * event]}
        facets[#facets + 1] = facet
      end
    end
  end
  local first = {}
  for i = 1, #facets do
    local facet = facets[i]
    local list = elements[facet]
    if call('RPUSH', unit .. 'f:' .. facet, unpack(list)) == #list then first[#first + 1] = facet end
  end
  if #first > 0 then enter(unit, first) end
end

for queue = 1, #KEYS - 1 do -- one is the version, or the guard
  local unit, count = KEYS[key + queue], tonumber(ARGV[arg])
  local look = window ~= 0 and call('EXISTS', unit .. 'delayed') == 1
  if window > 0 then
    rotate(unit)
    if look then
      status = 'HOLDING'
      if reply == 1 then reply = {status} else reply[1] = status end
    end
  end
  if count == 1 or (count == 0 and events == 1) then
    local event = count == 0 and 1 or tonumber(ARGV[arg + 1])
    local id, facet = ARGV[2 + 4 * event], ARGV[3 + 4 * event]
    local known = call('SISMEMBER', unit .. 'ids.old', id)
    if look and call('HEXISTS', unit .. 'delayed', id) == 1 then known = 1 end
    if call('SADD', unit .. 'ids', id) == 0 or known == 1 then
      duplicate(queue, event)
    elseif call('RPUSH', unit .. 'f:' .. facet, ARGV[1 + 4 * event]) == 1 then
      enter(unit, {facet})
    end
  else
    enqueue_many(queue, unit, count, look)
  end
  if window > 0 then call('PEXPIRE', unit .. 'ids', 2 * window) end
  arg = arg + 1 + count
end
for event = 1, events do
  local channel = ARGV[4 * event]
  if channel ~= '' then call('PUBLISH', channel, ARGV[1 + 4 * event]) end
end
return reply
