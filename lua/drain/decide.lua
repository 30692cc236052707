--[[ drain/decide.lua: decides which events are news and marks their URLs dirty, in one step, and keeps the decision with the batch.
  KEYS[1]   unit prefix; derived: state, state.old, state.since, due, d:<id>, dirty, swept, until, again, channel marked
                                                                                      "<namespace>:drain:{<name>/0}:"
  ARGV[1]   id of the batch, or "" for events of no batch        ARGV[2]  number of this slice of the batch
  ARGV[3]   how long the filter remembers an entity at least, ms; "0": it is off, every event passes
  ARGV[4..] five for each event, at most 500 events: entity; t; kind, one of c u d n; digest of the event; URL to mark, or ""
  Returns   {"OK", decision} or {"GONE"} when the batch is done or unknown. A character an event: "0" old or known, "1" passes,
            "2" passes and its URL was clean until now.
  Rules     newest t wins. At the same t: the same digest is a duplicate, a delete is final, everything else passes. A kind n never
            changes what is known.
  Flags     allow-oom
  Twice     the decision about a batch is made once and answered again; of no batch, a repeated call finds its own events known.
  Clock     TIME.
  Cost      8 calls a slice and one a URL that was clean; O(log n) in dirty URLs. ]]
-- @include drain/unit.lua
-- @include drain/marks.lua
local unit, id, slice, window = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
if id ~= '' then
  if not call('ZSCORE', unit .. 'due', id) then return {'GONE'} end
  local known = call('HGET', unit .. 'd:' .. id, slice)
  if known then return {'OK', known} end
end
local state = unit .. 'state'
local count = (#ARGV - 3) / 5
local known, passes, changed = {}, {}, {}

-- Entities that nothing was heard of for a window are forgotten with the next one.
local function rotate()
  local now = math.floor(now_us() / 1000)
  local since = call('GET', unit .. 'state.since')
  if since and now - since < window then return end
  if call('EXISTS', state) == 1 then
    call('UNLINK', unit .. 'state.old')
    call('RENAME', state, unit .. 'state.old')
    call('PEXPIRE', unit .. 'state.old', window)
  end
  call('SET', unit .. 'state.since', int(now), 'PX', 4 * window)
end

local function recall()
  local entities = {}
  for i = 1, count do entities[i] = ARGV[5 * i - 1] end
  local new = call('HMGET', state, unpack(entities))
  local old = call('EXISTS', unit .. 'state.old') == 1 and call('HMGET', unit .. 'state.old', unpack(entities))
  for i = 1, count do known[entities[i]] = new[i] or (old and old[i]) or nil end
end

local function is_news(entity, t, kind, digest)
  local before = known[entity]
  if not before then return true end
  local last, last_kind, last_digest = string.match(before, '^(%d+):(%a):(.*)$')
  last = tonumber(last)
  if t ~= last then return t > last end
  if kind == last_kind and digest == last_digest then return false end
  return last_kind ~= 'd'
end

if window > 0 then
  rotate()
  recall()
end
for i = 1, count do
  local at = 5 * i - 1
  local entity, t, kind, digest = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  passes[i] = window == 0 or is_news(entity, tonumber(t), kind, digest)
  if passes[i] and window > 0 and kind ~= 'n' then
    known[entity] = t .. ':' .. kind .. ':' .. digest
    changed[entity] = true
  end
end
local fields = {}
for entity in pairs(changed) do
  fields[#fields + 1] = entity
  fields[#fields + 1] = known[entity]
end
if #fields > 0 then
  call('HSET', state, unpack(fields))
  call('PEXPIRE', state, 2 * window)
end

local urls, listed = {}, {}
for i = 1, count do
  local url = ARGV[5 * i + 3]
  if passes[i] and url ~= '' and not listed[url] then
    listed[url] = true
    urls[#urls + 1] = url
  end
end
local new = mark(unit, urls)
local decision = {}
for i = 1, count do
  local url = ARGV[5 * i + 3]
  if not passes[i] then
    decision[i] = '0'
  elseif new[url] then
    decision[i] = '2'
    new[url] = nil -- one event of a batch brings the news
  else
    decision[i] = '1'
  end
end
decision = table.concat(decision)
if id ~= '' then call('HSET', unit .. 'd:' .. id, slice, decision) end
return {'OK', decision}
