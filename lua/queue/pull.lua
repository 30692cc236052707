--[[ queue/pull.lua: takes the next messages, one of each facet in turn, and acknowledges earlier leases in the same step.
  KEYS[1]  unit prefix                                                   "<namespace>:queue:{<name>/<partition>}:"
  KEYS[2]  ring  LIST  only of a queue with several partitions: the answer ends with the weights of the facets that may be served now
  Derived  of the unit: ring, back, later, due, leases, l:<profile>, dead, f:<facet>, channel wake, and what policies need; see
           queue/unit.lua and queue/fair.lua
  ARGV[1]  how many at most, 0 to 256 (0: only acknowledge)      ARGV[2]  "take": at most once, nothing is remembered;
           "each": one lease a message; "batch": one lease for all
  ARGV[3]  lease profile "<leaseMs>.<maxAttempts>"
  ARGV[4]  "1": first look for ended leases and due messages, at most 64 of them (done in any case when the ring is empty)
  ARGV[5..] entry ids of the same profile to acknowledge
  Returns  {"OK", wait, acknowledged, receipt or "", ...}. wait: ms until something that now waits becomes due or a lease ends,
           -1 if nothing does; only known when fewer than asked for are returned, else -1. 0: more is due than one look takes care of.
           Then in "take" and "batch" an element each, in "each" an entry id and an element each. An element that was handed out
           before is {attempt, element}.
  Flags    allow-oom
  Twice    acknowledging again changes nothing; a repeated pull takes further messages, and what the first one leased comes back when
           its lease ends. Clock: TIME, when it maintains. Cost: 2 calls a facet visited, 1 a lease; O(log n) for what came back.
  Shape    rare work sits inside functions of its own: creating a closure costs as much as a command. ]]
local call = redis.call
local unit, n, mode, profile = KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[3]
local ring, stream = unit .. 'ring', unit .. 'l:' .. profile
local acknowledged, wait = 0, -1
local special = call('EXISTS', unit .. 'back', unit .. 'policy') -- one command tells that nothing special is to be done
local fields, elements, c = {}, {}, 0 -- what is taken: field "1" or "<attempt>:<order>", and the element
local fair -- the plan, when there are policies
local more, worked = false, 0 -- of maintenance: whether there may be more to do, and how many messages it moved

local function acknowledge()
  if special > 0 and call('EXISTS', unit .. 'busy') == 1 then
    -- @include queue/track.lua
    for i = 5, #ARGV do acknowledged = acknowledged + ack_tracked(unit, profile, ARGV[i]) end
  else
    acknowledged = call('XDEL', stream, unpack(ARGV, 5))
  end
end

local function maintain_now()
  -- @include queue/track.lua
  -- @include queue/maintain.lua
  return maintain(unit)
end

local function due_in()
  -- @include queue/track.lua
  -- @include queue/maintain.lua
  return next_due(unit, fair)
end

-- One message when nothing has come back: three commands. A second round only if the ring was wrong about a facet.
local function serve_one()
  for _ = 1, 8 do
    local facet = call('LMOVE', ring, ring, 'LEFT', 'RIGHT')
    if not facet then return end
    local list = unit .. 'f:' .. facet
    local element = call('LPOP', list)
    if not element or call('EXISTS', list) == 0 then call('RPOP', ring) end
    if element then
      c, fields[1], elements[1] = 1, '1', element
      return
    end
  end
end

-- The messages of one facet that came back, oldest first: pairs of field and element.
local function take_back(facet, count)
  -- @include queue/unit.lua
  local members = call('ZRANGE', unit .. 'back', '[' .. facet_prefix(facet), back_end(facet), 'BYLEX', 'LIMIT', 0, count)
  if #members > 0 then call('ZREM', unit .. 'back', unpack(members)) end
  for j = 1, #members do
    local _, attempts, element, order = parse_member(members[j])
    members[j] = {(attempts + 1) .. ':' .. order, element}
  end
  return members
end

-- Takes each facet's share and lays the messages out in the order of the turns. Answers the lists by facet.
local function collect(visited, quota, turns, has_back)
  local got, next_of = {}, {}
  for i = 1, #visited do
    local facet, q = visited[i], quota[i]
    local list = has_back and take_back(facet, q) or {}
    local came_back = #list
    if q > came_back then
      local fresh = q - came_back == 1 and {call('LPOP', unit .. 'f:' .. facet) or nil} or
        call('LPOP', unit .. 'f:' .. facet, q - came_back) or {}
      if came_back == 0 then list = fresh else for j = 1, #fresh do list[came_back + j] = fresh[j] end end
    end
    got[i], next_of[i] = list, 1
  end
  for i = 1, #turns do
    local f = turns[i]
    local item = got[f][next_of[f]]
    next_of[f] = next_of[f] + 1
    c = c + 1
    if type(item) == 'table' then
      fields[c], elements[c] = item[1], item[2]
    else
      fields[c], elements[c] = '1', item
    end
  end
  return got
end

local function serve_many(most, has_back)
  -- @include queue/plan.lua
  local visited, available = visit(unit, call('LPOP', ring, most), has_back)
  local turns, quota, rest = plan(visited, available, most)
  collect(visited, quota, turns, has_back)
  if #rest > 0 then call('RPUSH', ring, unpack(rest)) end
end

-- Answers whether there may be more in spite of what was taken.
local function serve_fair(most, has_back)
  -- @include queue/unit.lua
  -- @include queue/fair.lua
  -- @include queue/fair-commit.lua
  local now = now_ms()
  local more = release_due(unit, now)
  fair = select_fair(unit, most, now, has_back, mode == 'take')
  if fair.none then
    fair = nil
    more = leave_fair(unit, most)
    serve_many(most, has_back)
    return more and c < n
  end
  local visited, quota, sizes = {}, {}, {}
  for i, info in ipairs(fair.served) do visited[i], quota[i] = info.facet, info.quota end
  local got = collect(visited, quota, fair.turns, has_back)
  for i, list in ipairs(fair.settings.cost == 'bytes' and got or {}) do
    sizes[i] = 0
    for j = 1, #list do sizes[i] = sizes[i] + (type(list[j]) == 'table' and #list[j][2] or #list[j]) end
  end
  commit_fair(fair, sizes)
  if ARGV[4] == '1' or c == 0 then
    forget_old(unit, now, fair.settings.vt)
    make_quick(unit)
  end
  return fair.more or (more and c < n)
end

-- Fewer at a time where each costs more, or where much was done already: no call may take long.
local function serve()
  local most = n
  if special == 0 then
    if n > 1 then serve_many(n, false) else serve_one() end
  else
    local has_back, has_policy = call('EXISTS', unit .. 'back') == 1, call('EXISTS', unit .. 'policy') == 1
    if has_policy then most = math.min(n, 64) elseif has_back then most = math.min(n, 128) end
    if worked >= 32 then most = math.ceil(most / 2) end
    if has_policy then more = serve_fair(most, has_back) or more else serve_many(most, has_back) end
  end
  if most < n and c == most then more = true end
end

if #ARGV > 4 then acknowledge() end
if ARGV[4] == '1' then more, worked = maintain_now() end
if n > 0 then
  if ARGV[4] == '1' then special = call('EXISTS', unit .. 'back', unit .. 'policy') end
  serve()
  if c == 0 and ARGV[4] ~= '1' then
    more, worked = maintain_now()
    special = call('EXISTS', unit .. 'back', unit .. 'policy')
    serve()
  end
  if more then wait = 0 elseif c < n then wait = due_in() end
  if fair and fair.wait >= 0 and c < n and (wait < 0 or fair.wait < wait) then wait = fair.wait end
end

-- The first lease of a profile puts it on record, in the same step: no lease is ever out of the reclaimer's sight.
local function lease(...)
  local id = call('XADD', stream, 'NOMKSTREAM', '*', ...)
  if id then return id end
  call('SADD', unit .. 'leases', profile)
  return call('XADD', stream, '*', ...)
end

-- Where facets are counted in flight, each message is put on the index under its lease.
local function note(ids)
  -- @include queue/track.lua
  local members = {}
  for i = 1, c do
    members[2 * i - 1] = 0
    members[2 * i] = tracked_member(facet_of(elements[i]) or '', profile, ids[i] or ids[1], ids[i] and mode == 'each' and 1 or i)
  end
  call('ZADD', unit .. 'busy', unpack(members))
end

local reply, at, ids = {'OK', wait, acknowledged, ''}, 4, {}
if mode == 'batch' and c > 0 then
  local entry = {}
  for i = 1, c do
    entry[2 * i - 1] = fields[i]
    entry[2 * i] = elements[i]
  end
  reply[4] = lease(unpack(entry))
  ids[1] = reply[4]
end
for i = 1, c do
  if mode == 'each' then
    at = at + 1
    ids[i] = lease(fields[i], elements[i])
    reply[at] = ids[i]
  end
  at = at + 1
  if fields[i] == '1' then
    reply[at] = elements[i]
  else
    reply[at] = {tonumber(string.match(fields[i], '^%d+')), elements[i]}
  end
end
if fair and fair.settings.track and mode ~= 'take' and c > 0 then note(ids) end
if KEYS[2] == ring then
  -- @include queue/active.lua
  reply[#reply + 1] = string.format('%.3f', active_share(unit))
end
return reply
