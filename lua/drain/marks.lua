--[[ drain/marks.lua: marking URLs dirty, included by the scripts that do; needs drain/unit.lua. ]]

-- Marks URLs, at most 1,000 and each once. Answers a set of those that were clean until now.
local function mark(unit, urls)
  local new = {}
  if #urls == 0 then return new end
  local dirty = unit .. 'dirty'
  local now = now_us()
  local scores = call('ZMSCORE', dirty, unpack(urls))
  local swept = call('EXISTS', unit .. 'swept') == 1 and call('HMGET', unit .. 'swept', unpack(urls))
  local last = call('ZRANGE', dirty, -1, -1, 'WITHSCORES')[2]
  local at = last and math.max(now, tonumber(last) + 1) or now
  local members = {}
  for i = 1, #urls do
    if swept and swept[i] then
      call('HSETNX', unit .. 'again', urls[i], int(at))
    elseif not scores[i] then
      members[#members + 1] = int(at)
      members[#members + 1] = urls[i]
      new[urls[i]] = true
    end
    at = at + 1
  end
  if #members > 0 then call('ZADD', dirty, unpack(members)) end
  for i = 2, #members, 2 do call('PUBLISH', unit .. 'marked', members[i]) end
  return new
end
