--[[ queue/ack.lua: acknowledges leases, each with an answer of its own.
  KEYS[1]  unit prefix; derived: l:<profile>                             "<namespace>:queue:{<name>/<partition>}:"
  ARGV     pairs: lease profile, entry id
  Returns  {"OK", 1 or 0, ...}: 1 acknowledged now; 0 the lease was not held any more (ended, or acknowledged before).
  Flags    allow-oom
  Twice    a repeated call answers 0 and changes nothing. Cost: 1 call a receipt. ]]
local reply = {'OK'}
for i = 1, #ARGV, 2 do reply[#reply + 1] = redis.call('XDEL', KEYS[1] .. 'l:' .. ARGV[i], ARGV[i + 1]) end
return reply
