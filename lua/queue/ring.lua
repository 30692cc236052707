--[[ queue/ring.lua: the ring and the messages that came back, included by the scripts that touch them; see queue/unit.lua. ]]
local call = redis.call
local function facet_prefix(facet) return #facet .. ':' .. facet .. '/' end

-- The end of a facet's range in back: "0" is the byte after "/".
local function back_end(facet) return '(' .. #facet .. ':' .. facet .. '0' end

local function back_count(unit, facet)
  return call('ZLEXCOUNT', unit .. 'back', '[' .. facet_prefix(facet), back_end(facet))
end

-- Puts facets that just got their first servable element at the end of the ring; tells idle consumers if the ring was empty.
local function enter_ring(unit, ...)
  if call('RPUSH', unit .. 'ring', ...) == select('#', ...) then call('PUBLISH', unit .. 'wake', '!') end
end
