--[[ stream/retry.lua: appends dead letters to the stream again, for every consumer, and takes them from the dead ones; or drops them.
  KEYS[1]  log   STREAM  field payload                                "<namespace>:stream:{<name>/<shard>}:log"
  KEYS[2]  dead letters of a consumer STREAM; only XDEL is ever used on it, never XTRIM
  ARGV[1]  "retry" or "drop"      ARGV[..] ids of dead letters, up to 1,000
  Returns  {"OK", how many}.
  Twice    a repeated call finds none of them and changes nothing. Cost: 3 calls each. ]]
local call, done = redis.call, 0
for i = 2, #ARGV do
  local letter = call('XRANGE', KEYS[2], ARGV[i], ARGV[i])[1]
  if letter then
    for j = 1, #letter[2], 2 do
      if letter[2][j] == 'payload' and ARGV[1] == 'retry' then call('XADD', KEYS[1], '*', 'payload', letter[2][j + 1]) end
    end
    done = done + call('XDEL', KEYS[2], ARGV[i])
  end
end
return {'OK', done}
