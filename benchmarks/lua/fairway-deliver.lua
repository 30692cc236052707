--[[ fairway-deliver.lua: the same commands, in the same order, that the seed's successor (customerio/fairway) runs to deliver one
  message: match against every registered queue in Lua, push, count, mark the facet active, publish.
  KEYS[1] namespace. ARGV: topic, facet, message. ]]
local ns, topic, facet, message = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local queues = redis.call('HGETALL', ns .. 'registered_queues')
for i = 1, #queues, 2 do
  local q = ns .. queues[i] .. ':'
  if string.find(topic, queues[i + 1]) then
    redis.call('LPUSH', q .. facet, message)
    redis.call('INCR', q .. 'length')
    if redis.call('SADD', q .. 'active_facets', facet) == 1 then
      local priority = tonumber(redis.call('HGET', q .. 'priorities', facet)) or 1
      if priority > 0 then redis.call('LPUSH', q .. 'facet_queue', facet) end
    end
  end
end
redis.call('PUBLISH', ns .. topic, message)
