--[[ queue/redrive.lua: dead letters go back to their old place in their facet with all attempts before them, or are dropped for good.
  KEYS[1]  unit prefix; derived: dead, back, f:<facet>, ring, ids        "<namespace>:queue:{<name>/<partition>}:"
  ARGV[1]  "redrive" or "drop"     ARGV[2]  facet, when ARGV[3] is "1": others are left
  ARGV[4]  "page": ARGV[5] entry id to go on behind, or "-"; ARGV[6] entry id to end with; ARGV[7] how many to look at, 1 to 200.
           "ids": ARGV[5..] entry ids
  Returns  page: {"OK", done, entry id to go on with or ""}. ids: {"OK", done}
  Flags    allow-oom
  Twice    a repeated call finds them gone and changes nothing. Cost: 5 calls a letter, and the size of the page. ]]
-- @include queue/unit.lua
local unit, dead = KEYS[1], KEYS[1] .. 'dead'
local done = 0

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

if ARGV[4] == 'ids' then
  for i = 5, #ARGV do
    local entry = call('XRANGE', dead, ARGV[i], ARGV[i])[1]
    if entry then treat(entry[1], entry[2]) end
  end
  return {'OK', done}
end
local from = ARGV[5] == '-' and '-' or '(' .. ARGV[5]
local entries = call('XRANGE', dead, from, ARGV[6], 'COUNT', tonumber(ARGV[7]))
for i = 1, #entries do treat(entries[i][1], entries[i][2]) end
return {'OK', done, #entries == tonumber(ARGV[7]) and entries[#entries][1] or ''}
