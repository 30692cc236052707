--[[ queue/answer.lua: what a call answered, kept for as long as it may be repeated because the answer was lost; included by scripts whose
  second run would answer otherwise. Key answer:<call> STRING for a minute, where a call was named. ]]
local function remembered(unit, name)
  local kept = name ~= '' and redis.call('GET', unit .. 'answer:' .. name)
  return kept and cmsgpack.unpack(kept)
end

local function remember(unit, name, reply)
  if name ~= '' then redis.call('SET', unit .. 'answer:' .. name, cmsgpack.pack(reply), 'PX', 60000) end
  return reply
end
