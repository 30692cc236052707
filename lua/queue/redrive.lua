--[[ queue/redrive.lua: dead letters go back to their old place in their facet with all attempts before them, or are dropped for good.
  KEYS[1]  unit prefix; derived: dead, back, f:<facet>, ring, answer:<call>  "<namespace>:queue:{<name>/<partition>}:"
  ARGV[1]  "redrive" or "drop"     ARGV[2]  facet, when ARGV[3] is "1": others are left
  ARGV[4]  name of this call, for its repeats
  ARGV[5]  "page": ARGV[6] entry id to go on behind, or "-"; ARGV[7] entry id to end with; ARGV[8] how many to look at, 1 to 200.
           "ids": ARGV[6..] entry ids
  Returns  page: {"OK", done, entry id to go on with or ""}. ids: {"OK", done}
  Flags    allow-oom
  Twice    a repeated call answers what the first one did, for a minute, and changes nothing. Cost: 5 calls a letter, 2 more, and the
           size of the page. ]]
-- @include queue/unit.lua
-- @include queue/answer.lua
local unit, dead = KEYS[1], KEYS[1] .. 'dead'
local done = 0
local before = remembered(unit, ARGV[4])
if before then return before end

local function treat(id, fields)
  local letter = {}
  for i = 1, #fields, 2 do letter[fields[i]] = fields[i + 1] end
  if ARGV[3] == '1' and letter.f ~= ARGV[2] then return end
  call('XDEL', dead, id)
  done = done + 1
  if ARGV[1] == 'redrive' then
    local dash = string.find(id, '-', 1, true)
    local order = letter.o or string.format('%013d-%06d-0001', tonumber(string.sub(id, 1, dash - 1)), tonumber(string.sub(id, dash + 1)))
    put_back(unit, letter.f, facet_prefix(letter.f) .. order .. ':0:' .. letter.m)
  end
end

if ARGV[5] == 'ids' then
  for i = 6, #ARGV do
    local entry = call('XRANGE', dead, ARGV[i], ARGV[i])[1]
    if entry then treat(entry[1], entry[2]) end
  end
  return remember(unit, ARGV[4], {'OK', done})
end
local from = ARGV[6] == '-' and '-' or '(' .. ARGV[6]
local entries = call('XRANGE', dead, from, ARGV[7], 'COUNT', tonumber(ARGV[8]))
for i = 1, #entries do treat(entries[i][1], entries[i][2]) end
return remember(unit, ARGV[4], {'OK', done, #entries == tonumber(ARGV[8]) and entries[#entries][1] or ''})
