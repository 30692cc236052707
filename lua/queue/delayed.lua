--[[ queue/delayed.lua: how delayed deliveries are written down, included by the scripts that touch them, behind queue/unit.lua. ]]
-- Delayed deliveries of a facet that take up room.
local function promised_count(unit, facet)
  return call('ZLEXCOUNT', unit .. 'promised', '[' .. facet_prefix(facet), back_end(facet))
end

-- Channel, element, and the limit at which the oldest message of the facet makes room for it; nil where none has to.
local function parse_delayed(stored)
  local colon = string.find(stored, ':', 1, true)
  local bytes, limit = string.match(stored, '^(%d+)/?(%d*):')
  local channel_end = colon + tonumber(bytes)
  return string.sub(stored, colon + 1, channel_end), string.sub(stored, channel_end + 1), tonumber(limit)
end

local function delayed_text(channel, element, limit)
  return #channel .. (limit and '/' .. limit or '') .. ':' .. channel .. element
end
