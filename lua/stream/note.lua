--[[ stream/note.lua: takes repair notes: these records are to be looked at again after a while. One note a record, with its first time.
  KEYS[1]  unit prefix; derived: notes ZSET, key of a record scored by the time of its note; notes.body HASH, its payload;
           notes.again HASH, when it was noted once more                  "<namespace>:stream:{<name>/<shard>}:"
  ARGV     pairs: key of a record, payload; up to 1,000 pairs
  Returns  {"OK", how many are new}.
  Twice    a repeated call notes the records once more: each is looked at once more at the most.
  Clock    TIME. Cost: 4 calls and O(log n) a record. ]]
local call, unit = redis.call, KEYS[1]
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local keys = {}
for i = 1, #ARGV, 2 do keys[#keys + 1] = ARGV[i] end
local scores = call('ZMSCORE', unit .. 'notes', unpack(keys))
local new, again = {}, {}
for i = 1, #keys do
  if scores[i] then
    again[#again + 1] = keys[i]
    again[#again + 1] = now
  else
    new[#new + 1] = now
    new[#new + 1] = keys[i]
  end
end
call('HSET', unit .. 'notes.body', unpack(ARGV))
local added = 0
if #new > 0 then added = call('ZADD', unit .. 'notes', 'NX', unpack(new)) end
if #again > 0 then call('HSET', unit .. 'notes.again', unpack(again)) end
return {'OK', added}
