--[[ stream/ids.lua: included by scripts that compare entry ids or look at a log. Not a script of its own.
  An entry id is "<ms>-<seq>". Both parts go up to 2^64, beyond the numbers of Lua: they are compared as decimal texts. ]]
local function split_id(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  if ms then return ms, seq end
  return id, '0'
end

local function less_text(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

-- Whether id a comes before id b.
local function less(a, b)
  local a_ms, a_seq = split_id(a)
  local b_ms, b_seq = split_id(b)
  if a_ms ~= b_ms then return less_text(a_ms, b_ms) end
  return less_text(a_seq, b_seq)
end

-- The smallest id after this one.
local function next_id(id)
  local ms, seq = split_id(id)
  local function plus_one(digits)
    local head, nines = string.match(digits, '^(%d-)(9*)$')
    if head == '' then return '1' .. string.rep('0', #nines) end
    return string.sub(head, 1, -2) .. (tonumber(string.sub(head, -1)) + 1) .. string.rep('0', #nines)
  end
  if seq == '18446744073709551615' then return plus_one(ms) .. '-0' end
  return ms .. '-' .. plus_one(seq)
end

-- The last id ever given, how many entries were ever added, and how many there are.
local function look_at(log)
  if redis.call('EXISTS', log) == 0 then return '0-0', 0, 0 end
  local info = redis.call('XINFO', 'STREAM', log)
  local last, added, length = '0-0', 0, 0
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
    if info[i] == 'entries-added' then added = info[i + 1] end
    if info[i] == 'length' then length = info[i + 1] end
  end
  return last, added, length
end
