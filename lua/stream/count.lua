--[[ stream/count.lua: counts entries after an id, a bounded number of them.
  KEYS[1]  log   STREAM                                                "<namespace>:stream:{<name>/<shard>}:log"
  ARGV[1]  the id before the first      ARGV[2]  how many at most
  Returns  {"OK", counted, id of the last one counted; the given one if there is none}.
  Twice    it only reads. Cost: O(counted). ]]
local page = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
return {'OK', #page, #page > 0 and page[#page][1] or ARGV[1]}
