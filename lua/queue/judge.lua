--[[ queue/judge.lua: one step of looking whether facets stand where they must, and of putting them there: a facet with messages stands in
  exactly one of ring, fair (and place), parked and throttled.
  KEYS[1]  unit prefix; derived: ring, fair, place, parked, throttled, hold, buckets, busy, policy, back, f:<facet>; channel wake
                                                                         "<namespace>:queue:{<name>/<partition>}:"
  ARGV[1]  "parked", "throttled": finds who stands aside there without a reason, or for longer than there is one; ARGV[2] cursor
           "ring": one page of a long ring; ARGV[2] index from 0 of the last one that was met, -1 to begin, ARGV[3] that facet, ARGV[4] how
           many. Heads that were served since do not matter, tails that came are met
           "facets": judges facets; ARGV[2], ARGV[3] as for "ring", where the ring ended; then for each: facet, number of indexes where
           that walk has met it, these indexes
  Returns  parked, throttled: {"OK", cursor, facet, ...}. ring: {"OK", "MET", index of the last one that was met now, facet, ...}, or
           {"OK", "LOST"}: walk it anew.
           facets: {"OK", "WALK"}: the ring is long, walk it to its end, or on; {"OK", "LOST"} as above; else {"OK", "JUDGED", word, ...}:
           "FINE", or what was repaired: "MISSING" (had messages, no turn), "DOUBLE" (several turns), "IDLE" (a turn, no messages),
           "PARKED", "THROTTLED" (stood aside there without a reason). After "DOUBLE" and "IDLE" a long ring must be walked anew
  Twice    a repeated call finds everything fine. Clock: TIME. Cost: about 100 facets, each 3 to 8 calls, and at most 4,096 of the ring. ]]
-- @include queue/track.lua
-- @include queue/fair.lua
local unit, what = KEYS[1], ARGV[1]
local ring = unit .. 'ring'
local SHORT, SLACK = 4096, 2000

-- What is set for these facets, and what is known of their rates.
local function known_of(facets)
  local plan = {unit = unit, known = {}}
  plan.settings, plan.own = read_settings(unit)
  plan.rules, plan.rates = rules_of(plan), plan.settings.rates
  look_up(plan, facets)
  return plan.known
end

-- Whether a facet stands aside without a reason, or for longer than there is one, by the rules of queue/fair.lua.
local function astray(where, info, score, now)
  local rules = info.rules
  if rules.paused then return false end
  if where == 'parked' then
    return not rules.cap or
      call('ZLEXCOUNT', unit .. 'busy', '[' .. facet_prefix(info.facet), back_end(info.facet)) < rules.cap
  end
  if score <= now or info.until_ms >= score then return false end -- the next pull lets it go on; it is held back in strict order
  if not rules.rate then return true end
  local _, base = bucket(rules.rate, info.base, now)
  return math.ceil(base - rules.rate.slack) < score - 1
end

if what == 'parked' or what == 'throttled' then
  local page, facets, now = call('ZSCAN', unit .. what, ARGV[2], 'COUNT', 100), {}, now_ms()
  for i = 1, #page[2], 2 do facets[#facets + 1] = page[2][i] end
  local known, reply = known_of(facets), {'OK', page[1]}
  for i = 1, #facets do
    if astray(what, known[facets[i]], tonumber(page[2][2 * i]), now) then reply[#reply + 1] = facets[i] end
  end
  return reply
end

-- Where the last one stands now that was met: nearer to the head by as many as were served. nil: out of sight.
local function find_last(at, facet)
  if at < 0 then return -1 end
  local from = math.max(0, at - SLACK)
  local near = call('LRANGE', ring, from, at)
  for i = #near, 1, -1 do
    if near[i] == facet then return from + i - 1 end
  end
  return nil
end

local at = tonumber(ARGV[2])
if what == 'ring' then
  local last = find_last(at, ARGV[3])
  if not last then return {'OK', 'LOST'} end
  local reply = {'OK', 'MET', last}
  local page = call('LRANGE', ring, last + 1, last + ARGV[4])
  for i = 1, #page do reply[i + 3] = page[i] end
  return reply
end

local facets, indexes, arg = {}, {}, 4
while arg <= #ARGV do
  local facet, count = ARGV[arg], tonumber(ARGV[arg + 1])
  facets[#facets + 1], indexes[facet] = facet, {}
  for i = 1, count do indexes[facet][i] = tonumber(ARGV[arg + 1 + i]) end
  arg = arg + 2 + count
end

-- Indexes of all turns of the facets to be judged, lowest first; or a word instead.
local turns, long = {}, call('LLEN', ring) > SHORT
for i = 1, #facets do turns[facets[i]] = {} end
local function meet(facet, index) if turns[facet] then table.insert(turns[facet], index) end end
local function find_turns()
  local from = 0
  if long then
    if at < 0 then return 'WALK' end
    local last = find_last(at, ARGV[3])
    if not last then return 'LOST' end
    if call('LLEN', ring) > last + 1 + SLACK then return 'WALK' end
    for _, facet in ipairs(facets) do
      for _, index in ipairs(indexes[facet]) do
        local now = index - at + last
        if now >= 0 and call('LINDEX', ring, now) == facet then meet(facet, now) end
      end
    end
    from = last + 1
  end
  local rest = call('LRANGE', ring, from, -1)
  for i = 1, #rest do meet(rest[i], from + i - 1) end
  return nil
end

local word = find_turns()
if word then return {'OK', word} end

-- Takes a turn out of a long ring. The head goes into its place, which costs that facet some of its turn: the others need not move.
local function take_out(index)
  local head = call('LPOP', ring)
  if index > 0 then call('LSET', ring, index - 1, head) end
  for _, places in pairs(turns) do
    for i, place in ipairs(places) do places[i] = place == 0 and index - 1 or place - 1 end
  end
end

-- Leaves so many turns of a facet, the first ones.
local function leave(facet, count)
  local places = turns[facet]
  if not long and #places > count then call('LREM', ring, count - #places, facet) end
  while #places > count do
    local index = table.remove(places)
    if long then take_out(index) end
    table.sort(places)
  end
end

local known, now = known_of(facets), now_ms()

local function judge(facet)
  local have = call('LLEN', unit .. 'f:' .. facet) + back_count(unit, facet)
  local member = call('HGET', unit .. 'place', facet)
  local in_fair = member and call('ZSCORE', unit .. 'fair', member) and 1 or 0
  local aside, stuck = 0, nil
  for _, where in ipairs({'parked', 'throttled'}) do
    local score = call('ZSCORE', unit .. where, facet)
    if score and have > 0 and astray(where, known[facet], tonumber(score), now) then
      call('ZREM', unit .. where, facet)
      stuck = string.upper(where)
    elseif score then
      aside = aside + 1
    end
  end
  local stands = #turns[facet] + in_fair + aside
  if have > 0 and stands == 0 then
    enter_ring(unit, facet)
    return stuck or 'MISSING'
  end
  if (have > 0 and stands > 1) or (have == 0 and stands > 0) then
    if in_fair > 0 then call('ZREM', unit .. 'fair', member) end
    call('HDEL', unit .. 'place', facet)
    call('ZREM', unit .. 'parked', facet)
    call('ZREM', unit .. 'throttled', facet)
    local stays = have > 0 and in_fair + aside == 0
    leave(facet, stays and 1 or 0)
    if have == 0 then return 'IDLE' end
    if not stays then enter_ring(unit, facet) end
    return 'DOUBLE'
  end
  return stuck or 'FINE'
end

local reply = {'OK', 'JUDGED'}
for i = 1, #facets do reply[i + 2] = judge(facets[i]) end
return reply
