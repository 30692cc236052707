--[[ queue/unit.lua: what every script of a facet queue shares; included, never run by itself.

  A queue is one unit, or several that know nothing of each other: its partitions, each with facets of its own. All keys of a unit start
  with KEYS' unit prefix, "<namespace>:queue:{<name>/<partition>}:", and share its slot.
    ring       LIST    facets that have something to serve, head is next; a facet stands here exactly once or not at all
    f:<facet>  LIST    waiting elements of one facet, head is next
    back       ZSET    elements that were handed out and came back, all scores 0, ordered inside their facet; served before f:<facet>
    later      ZSET    what is held back until its score, epoch ms: same members as back; "=<event id>" of delayed deliveries
    delayed    HASH    event id to "<bytes of channel>:<channel><element>" of delayed deliveries; an empty channel: not to be published.
                       "<bytes of channel>/<limit>:": the oldest message of its facet then makes room for it
    promised   ZSET    all scores 0, "<bytes of facet>:<facet>/<event id>" of delayed deliveries of queues with limits
    answer:..  STRING  what a call answered, for a minute, see queue/answer.lua
    leases     SET     lease profiles in use, "<leaseMs>.<maxAttempts>"; 0 attempts means no limit
    l:<profile> STREAM in flight: one entry is one lease of one or more elements; the entry id is the fence and dates the lease
    extended   HASH    "<profile>/<entry id>" of a lease to the entry id it was extended to; extended.at: ZSET until when. For repeats
    dead       STREAM  dead letters: f facet, m element, a attempts, r reason, o order
    ids        SET     event ids delivered in this deduplication window; ids.old: in the one before; ids.since: when it began
    wake       CHANNEL told when the ring is not empty any more
  Only where there are policies, see queue/fair.lua and queue/track.lua:
    policy     HASH    what was set: pause, cap, each.cap, rate, each.rate, strict, cost, track; of facets w:, c:, r:, p:, l:<facet>;
                       and the virtual time vt, the last arrival seq, the queue's bucket tat, the average cost avg
    fair       ZSET    "<arrival, 16 digits>:<facet>" by virtual time; place HASH: facet to its member
    parked     ZSET    facets that are paused or at their cap, -1; at an elastic cap: their virtual time
    throttled  ZSET    facets that may go on at that epoch ms; hold: those that must not before, met when their turn comes
    buckets    ZSET    facet to the theoretical arrival time of its rate, epoch ms; debts: to the virtual time it has paid for
    busy       ZSET    "<bytes of facet>:<facet>/<profile>/<entry id>.<place>" for each message in flight
  Only of a queue with several partitions: owner STRING, fence STRING, of the lease of this partition, see lua/lock/acquire.lua; and in the
  first one members ZSET, order ZSET of those who share the partitions, see lua/lock/member.lua
  In Cluster, whoever takes one unit prefix alone gets a guard as second key: a name that no key has. While the slot moves, servers
  refuse to run anything for two keys that are not there; see Keys.guarded.
  An element is an event as JSON that begins {"_at":<13 digits, epoch ms of delivery>,"environment":"<facet>".
  A field of an in-flight entry is "<attempt>", or "<attempt>:<order>" when the element has been in flight before.
  A member of back and later is "<bytes of facet>:<facet>/<order>:<attempts so far>:<element>". Order is the id of the first lease. ]]
-- @include queue/ring.lua

local function now_ms()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function delivered_at(element) return tonumber(string.sub(element, 8, 20)) or 0 end

-- The facet of an element: the value of its second JSON field; nil of what is no element. Escapes are rare and left to cjson.
local function facet_of(element)
  local from = 37 -- behind {"_at":1790000000000,"environment":"
  local stop = from
  while true do
    stop = string.find(element, '["\\]', stop)
    if not stop then return nil end
    if string.sub(element, stop, stop) == '"' then break end
    stop = stop + 2
  end
  local raw = string.sub(element, from, stop - 1)
  if string.find(raw, '\\', 1, true) then
    local readable, list = pcall(cjson.decode, '["' .. raw .. '"]')
    return readable and list[1] or nil
  end
  return raw
end

-- Facet, attempts so far, element and order of a member of back or later.
local function parse_member(member)
  local colon = string.find(member, ':', 1, true)
  local facet_end = colon + tonumber(string.sub(member, 1, colon - 1))
  local order_end = string.find(member, ':', facet_end + 2, true)
  local attempts_end = string.find(member, ':', order_end + 1, true)
  return string.sub(member, colon + 1, facet_end), tonumber(string.sub(member, order_end + 1, attempts_end - 1)),
    string.sub(member, attempts_end + 1), string.sub(member, facet_end + 2, order_end - 1)
end

-- Gives an element back to its old place in its facet.
local function put_back(unit, facet, member)
  local waiting = call('EXISTS', unit .. 'f:' .. facet) == 1 or back_count(unit, facet) > 0
  call('ZADD', unit .. 'back', 0, member)
  if not waiting then enter_ring(unit, facet) end
end

local function put_dead(unit, facet, element, attempts, reason, order)
  call('XADD', unit .. 'dead', '*', 'f', facet, 'm', element, 'a', attempts, 'r', reason, 'o', order)
end

-- The order of what was never leased: as if it had been the last one in this millisecond.
local function order_of_now() return string.format('%013d-999999-0000', now_ms()) end

-- Something held back is due: idle readers set their timer anew if it is the first.
local function hold_until(unit, key, due_ms, member)
  local first = call('ZRANGE', unit .. key, 0, 0, 'WITHSCORES')[2]
  call('ZADD', unit .. key, due_ms, member)
  if not first or due_ms < tonumber(first) then call('PUBLISH', unit .. 'wake', '!') end
end

-- Strict order: the message goes back to its place, and its facet waits with it.
local function hold_facet(unit, facet, member, due_ms)
  local waiting = call('EXISTS', unit .. 'f:' .. facet) == 1 or back_count(unit, facet) > 0
  call('ZADD', unit .. 'back', 0, member)
  call('ZADD', unit .. 'hold', 'GT', due_ms, facet) -- in any case: a change of policies puts it back on the ring
  if not waiting then hold_until(unit, 'throttled', due_ms, facet) end
end

-- Attempt number and order of one element of an in-flight entry; a first lease takes its order from the entry and its place in it.
local function attempt_and_order(field, entry_id, index)
  local colon = string.find(field, ':', 1, true)
  if colon then return tonumber(string.sub(field, 1, colon - 1)), string.sub(field, colon + 1) end
  local dash = string.find(entry_id, '-', 1, true)
  return tonumber(field), string.format('%013d-%06d-%04d', tonumber(string.sub(entry_id, 1, dash - 1)),
    tonumber(string.sub(entry_id, dash + 1)), index)
end

-- Where an element goes whose lease ended without acknowledgement. counted: whether this attempt counts as used.
-- Answers 'BACK', 'LATER' or 'DEAD'.
local function end_lease(unit, entry_id, index, field, element, max_attempts, counted, due_ms, reason, bury, strict)
  local attempt, order = attempt_and_order(field, entry_id, index)
  local facet = facet_of(element) or ''
  if bury or (counted and max_attempts > 0 and attempt >= max_attempts) then
    put_dead(unit, facet, element, attempt, reason, order)
    return 'DEAD'
  end
  local used = counted and attempt or attempt - 1
  local member = facet_prefix(facet) .. order .. ':' .. used .. ':' .. element
  if due_ms then
    if strict then hold_facet(unit, facet, member, due_ms) else hold_until(unit, 'later', due_ms, member) end
    return 'LATER'
  end
  put_back(unit, facet, member)
  return 'BACK'
end

local function parse_profile(profile)
  local lease, attempts = string.match(profile, '^(%d+)%.(%d+)$')
  return tonumber(lease), tonumber(attempts)
end
