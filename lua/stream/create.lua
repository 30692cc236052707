--[[ stream/create.lua: puts a stream on record with the number of its shards, which never changes; or tells which number it has.
  KEYS[1]  names   SET   all streams                                       "<namespace>:{streams}:names"
  KEYS[2]  shards  HASH  stream to number of shards, where it is not one   "<namespace>:{streams}:shards"
  ARGV[1]  stream      ARGV[2]  how many shards it is to have; "0": one if it is new, else what it has
  Returns  {"OK", shards, 1 when it is new}; {"OTHER", shards, 0} when it has another number: then nothing was changed.
  Twice    a repeated call finds what the first one left there, and answers that it is not new. Cost 4 calls. ]]
local call, stream, wanted = redis.call, ARGV[1], tonumber(ARGV[2])
local shards = tonumber(call('HGET', KEYS[2], stream) or 0)
if shards == 0 and call('SISMEMBER', KEYS[1], stream) == 1 then shards = 1 end
if shards == 0 then
  shards = math.max(1, wanted)
  call('SADD', KEYS[1], stream)
  if shards > 1 then call('HSET', KEYS[2], stream, shards) end
  return {'OK', shards, 1}
end
if wanted > 0 and wanted ~= shards then return {'OTHER', shards, 0} end
return {'OK', shards, 0}
