--[[ drain/index.lua: the number of a resource's present state, which only goes up.
  KEYS[1]  index  STRING                                                     "<namespace>:cache:{<url>/0}:index"
  ARGV[1]  "raise": it changed; "look"      ARGV[2]  for how long the number is kept after the last change, in ms
  Returns  {"OK", number}. A number that is not there, or not any more, begins at the time: it never comes back to what it was.
  Twice    a repeated "raise" raises it again, which makes what is cached out of date, nothing worse.
  Clock    TIME. Cost: up to 3 calls. ]]
local call = redis.call
local index = tonumber(call('GET', KEYS[1]) or 0)
if ARGV[1] == 'raise' or index == 0 then
  local t = call('TIME')
  index = math.max(index + 1, t[1] * 1000 + math.floor(t[2] / 1000))
  call('SET', KEYS[1], string.format('%.0f', index), 'PX', ARGV[2])
end
return {'OK', index}
