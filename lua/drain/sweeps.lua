--[[ drain/sweeps.lua: ends of sweeps, included by the scripts that have to do with them; needs drain/unit.lua. ]]

-- A URL that was not cleaned goes back to its place, and the mark that came meanwhile is met by that.
local function give_back(unit, url, held)
  call('ZADD', unit .. 'dirty', string.match(held, ':(%d+)$'), url)
  call('HDEL', unit .. 'again', url)
  call('HDEL', unit .. 'swept', url)
  call('ZREM', unit .. 'until', url)
end

-- Takes back what sweepers left behind when they died: up to 64 URLs.
local function reclaim(unit)
  local over = call('ZRANGEBYSCORE', unit .. 'until', '-inf', math.floor(now_us() / 1000), 'LIMIT', 0, 64)
  for i = 1, #over do
    give_back(unit, over[i], call('HGET', unit .. 'swept', over[i]))
  end
end
