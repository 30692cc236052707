--[[ layout-a-pull.lua: the classic layout to compare with: a list of ids, a sorted set of deadlines, a hash of bodies in flight, one
  call a step, as most queues on Redis do it. Takes n messages fairly and acknowledges them. KEYS[1] prefix. ARGV[1] n. ]]
local p, n = KEYS[1], tonumber(ARGV[1])
local t = redis.call('TIME')
local deadline = t[1] * 1000 + 30000
local taken = {}
for i = 1, n do
  local f = redis.call('RPOPLPUSH', p .. 'ring', p .. 'ring')
  if not f then break end
  local m = redis.call('RPOP', p .. 'f:' .. f)
  if redis.call('LLEN', p .. 'f:' .. f) == 0 then redis.call('LPOP', p .. 'ring') end
  if m then
    local id = string.sub(m, 1, 24)
    redis.call('ZADD', p .. 'leases', deadline, id)
    redis.call('HSET', p .. 'bodies', id, m)
    taken[#taken + 1] = m
  end
end
for i = 1, #taken do
  local id = string.sub(taken[i], 1, 24)
  redis.call('ZREM', p .. 'leases', id)
  redis.call('HDEL', p .. 'bodies', id)
end
return taken
