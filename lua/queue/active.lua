--[[ queue/active.lua: how large a share of the turns a partition should have, included by the script that pulls. ]]
-- The weights of the facets that may be served now, in all; weights are 1 but for those that are set, as long as these are few.
local function active_share(unit)
  local call, policy = redis.call, unit .. 'policy'
  local share = call('LLEN', unit .. 'ring')
  if call('EXISTS', policy) == 0 then return share end
  local t = call('TIME')
  share = share + call('ZCARD', unit .. 'fair') + call('ZCOUNT', unit .. 'throttled', '-inf', t[1] * 1000 + math.floor(t[2] / 1000))
  if share == 0 then return call('ZCOUNT', unit .. 'parked', 0, '+inf') end -- with elastic caps
  if call('HLEN', policy) > 64 then return share end
  local all, facets, weights = call('HGETALL', policy), {}, {}
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'w:' then
      facets[#facets + 1] = string.sub(all[i], 3)
      weights[#facets] = tonumber(all[i + 1])
    end
  end
  local place = #facets > 0 and call('HMGET', unit .. 'place', unpack(facets)) or {}
  for i = 1, #facets do
    if place[i] then share = share + weights[i] - 1 end
  end
  return share
end
