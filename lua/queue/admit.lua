--[[ queue/admit.lua: as queue/deliver.lua, where queues limit how many messages a facet may have waiting.
  KEYS[1]   registry version  STRING  only when ARGV[1] is not "-"      "<namespace>:{registry}:version"
  KEYS[..]  unit prefix of each queue that gets something                "<namespace>:queue:{<name>/<partition>}:"
            In Cluster of one queue only, and then the guard, a name that no key has.
  Derived   of each unit: ring, back, ids, ids.old, ids.since, delayed, promised, f:<facet>, policy; channel wake; see queue/unit.lua
  ARGV[1]   registry version the caller routed with, or "-" when it is not checked (Cluster: other slot)
  ARGV[2]   deduplication window in ms on a maintenance call; else "-1" or "0", as in queue/deliver.lua
  ARGV[3]   number of events, then for each: channel to publish it on, or empty not to; element; id; facet
  ARGV[..]  for each queue: its limit, 0 for none; what is done at the limit: "reject", "oldest" (the oldest makes room) or "newest" (takes
            the place of a waiting one of the same topic; else it is refused); "0" when it gets all events, else how many, and the
            index from 1 of each
  Returns   {"STALE"}, or {"OK", word, queue index, event index, id, ...}: "DUPLICATE"; "REFUSED"; "DISPLACED", with the id of
            the message that made room; "UNTRIED" of the last events when this call has looked through enough: they have had no effect.
            Nothing is said of what just went in. "HOLDING" for "OK", as in queue/deliver.lua.
  Errors    none of its own; when memory is full the server refuses before anything is enqueued.
  Twice     a repeated call finds the ids and enqueues nothing; what was refused is tried again. The events are published again,
            except those that a queue refuses and no queue newly takes.
  Clock     TIME, on maintenance calls.
  Cost      8 calls an event and queue; "newest" reads what the facet has waiting, up to its limit; 3,000 in all, or what
            one event needs. ]]
-- @include queue/unit.lua
-- @include queue/delayed.lua
-- @include queue/ids.lua
local key = 0
if ARGV[1] ~= '-' then
  if call('GET', KEYS[1]) ~= ARGV[1] and (ARGV[1] ~= '' or call('EXISTS', KEYS[1]) == 1) then return {'STALE'} end
  key = 1
end
local window, events = tonumber(ARGV[2]), tonumber(ARGV[3])
local arg = 4 + 4 * events
local reply, taken, refused = {'OK'}, {}, {}
local MOST_READ = 3000

local function say(word, queue, event, id)
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] = word, queue, event, id
end

-- What two messages of the same topic have in common: everything between the time of delivery and the id.
local function topic_of(element)
  local id_field = string.find(element, '","id":"', 21, true)
  return id_field and string.sub(element, 21, id_field)
end

local function id_of(element)
  local readable, event = pcall(cjson.decode, element)
  return readable and event.id or ''
end

-- Makes room for one message where there is none: answers whether it may join, or took a place already.
local function make_room(queue, event, unit, facet, limit, how)
  local list, element = unit .. 'f:' .. facet, ARGV[1 + 4 * event]
  if how == 'newest' then
    limit = math.min(limit, 1000) -- a facet's own limit may be higher
    local topic, waiting = topic_of(element), call('LRANGE', list, 0, limit - 1)
    for i = 1, #waiting do
      if topic_of(waiting[i]) == topic then
        call('LSET', list, i - 1, element)
        say('DISPLACED', queue, event, id_of(waiting[i]))
        return 'PLACED'
      end
    end
  end
  local promised = how == 'oldest' and 0 or promised_count(unit, facet)
  if call('LLEN', list) + back_count(unit, facet) + promised < limit then return 'JOIN' end
  if how == 'oldest' and call('RPUSHX', list, element) > 0 then -- first in, then out: the list is never empty in between
    say('DISPLACED', queue, event, id_of(call('LPOP', list)))
    return 'PLACED'
  end
  say('REFUSED', queue, event, '')
  refused[event] = true
  return 'REFUSED'
end

-- How many of the events can be tried with a bounded amount of reading; at least one.
local function affordable()
  local at, costs = arg, {}
  for queue = 1, #KEYS - 1 do
    local unit, how, count = KEYS[key + queue], ARGV[at + 1], tonumber(ARGV[at + 2])
    if how == 'newest' and tonumber(ARGV[at]) > 0 then
      local known = {}
      for i = 1, count == 0 and events or count do
        local event = count == 0 and i or tonumber(ARGV[at + 2 + i])
        local facet = ARGV[3 + 4 * event]
        known[facet] = known[facet] or call('LLEN', unit .. 'f:' .. facet)
        costs[event] = (costs[event] or 0) + math.min(known[facet], 1000)
      end
    end
    at = at + 3 + count
  end
  local read = 0
  for event = 1, events do
    read = read + (costs[event] or 0)
    if read > MOST_READ and event > 1 then return event - 1 end
  end
  return events
end

local function admit(queue, unit, event, limit, how, look)
  local element, id, facet = ARGV[1 + 4 * event], ARGV[2 + 4 * event], ARGV[3 + 4 * event]
  local known = call('SISMEMBER', unit .. 'ids', id) + call('SISMEMBER', unit .. 'ids.old', id)
  if known > 0 or (look and call('HEXISTS', unit .. 'delayed', id) == 1) then
    return say('DUPLICATE', queue, event, '')
  end
  local own = limit > 0 and tonumber(call('HGET', unit .. 'policy', 'l:' .. facet)) or limit
  local word = own > 0 and make_room(queue, event, unit, facet, own, how) or 'JOIN'
  if word == 'REFUSED' then return end
  taken[event] = true
  call('SADD', unit .. 'ids', id)
  if word == 'JOIN' then
    local had_none = call('EXISTS', unit .. 'f:' .. facet) == 0
    call('RPUSH', unit .. 'f:' .. facet, element)
    if had_none and back_count(unit, facet) == 0 then enter_ring(unit, facet) end
  end
end

local most = affordable()
for event = most + 1, events do say('UNTRIED', 1, event, '') end
for queue = 1, #KEYS - 1 do -- one is the version, or the guard
  local unit, limit, how, count = KEYS[key + queue], tonumber(ARGV[arg]), ARGV[arg + 1], tonumber(ARGV[arg + 2])
  local look = window ~= 0 and call('EXISTS', unit .. 'delayed') == 1
  if window > 0 then rotate_ids(unit, window) end
  if window > 0 and look then reply[1] = 'HOLDING' end
  for i = 1, count == 0 and events or count do
    local event = count == 0 and i or tonumber(ARGV[arg + 2 + i])
    if event <= most then admit(queue, unit, event, limit, how, look) end
  end
  if window > 0 then call('PEXPIRE', unit .. 'ids', 2 * window) end
  arg = arg + 3 + count
end
for event = 1, most do
  local channel = ARGV[4 * event]
  local unwelcome = refused[event] and not taken[event] -- whoever delivers it again publishes it again
  if channel ~= '' and not unwelcome then call('PUBLISH', channel, ARGV[1 + 4 * event]) end
end
return reply
