--[[ stream/commit.lua: a consumer has handled everything up to an id; what it could not handle is put aside in the same step.
  KEYS[1]  log     STREAM                                              "<namespace>:stream:{<name>/<shard>}:log"
  KEYS[2]  unit prefix; derived: trimmed STRING, paused:<consumer> STRING, added:<consumer> STRING, dead:<consumer> STREAM
  KEYS[3]  offset  STRING  the consumer's last committed id
  KEYS[4]  lock    STRING  token of the active instance      KEYS[5]  fence  STRING  the last number given
  ARGV[1]  consumer      ARGV[2]  token      ARGV[3]  fence of the caller      ARGV[4]  id up to which everything is handled
  ARGV[..] four each, for what is put aside: entry id, payload, attempts, cause
  Returns  {"OK", offset, trimmed, last id, entries ever added, 1 when paused, the number added at the commit before}; or with these
           {"FENCED"} somebody else was given a later number, or holds the lock; {"OLDER"} the id lies before the offset;
           {"UNKNOWN"} the consumer is not registered.
  Flags    allow-oom
  Twice    a repeated call finds the offset where it left it, and puts nothing aside again.
  Cost     9 calls, 1 more for each entry put aside. ]]
-- @include stream/ids.lua
local call, log, unit, consumer, id = redis.call, KEYS[1], KEYS[2], ARGV[1], ARGV[4]
local offset = call('GET', KEYS[3])
local owner = call('GET', KEYS[4])
local status = 'OK'
local last, added = look_at(log)
local before = call('GET', unit .. 'added:' .. consumer) or 0
if not offset then
  status, offset = 'UNKNOWN', '0-0'
elseif call('GET', KEYS[5]) ~= ARGV[3] or (owner and owner ~= ARGV[2]) then
  status = 'FENCED'
elseif less(id, offset) then
  status = 'OLDER'
elseif less(offset, id) then
  for i = 5, #ARGV, 4 do
    call('XADD', unit .. 'dead:' .. consumer, '*', 'id', ARGV[i], 'payload', ARGV[i + 1], 'attempts', ARGV[i + 2],
      'cause', ARGV[i + 3])
  end
  call('SET', KEYS[3], id)
  call('SET', unit .. 'added:' .. consumer, added)
  offset = id
end
return {status, offset, call('GET', unit .. 'trimmed') or '0-0', last, added, call('EXISTS', unit .. 'paused:' .. consumer), before}
