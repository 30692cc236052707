--[[ queue/dead.lua: one page of a queue's dead letters, oldest first.
  KEYS[1]  unit prefix; derived: dead                                    "<namespace>:queue:{<name>/<partition>}:"
  ARGV[1]  entry id to go on behind, exclusive, or "-" to begin          ARGV[2]  how many, 1 to 100
  Returns  {"OK", entry id, element, attempts, reason, order or "", ...}; the order begins with the epoch ms of the first lease
  Twice    reads only. Cost: 1 call, and the size of the page. ]]
local from = ARGV[1] == '-' and '-' or '(' .. ARGV[1]
local entries = redis.call('XRANGE', KEYS[1] .. 'dead', from, '+', 'COUNT', tonumber(ARGV[2]))
local reply = {'OK'}
for i = 1, #entries do
  local fields = entries[i][2]
  reply[#reply + 1] = entries[i][1]
  reply[#reply + 1] = fields[4]
  reply[#reply + 1] = fields[6]
  reply[#reply + 1] = fields[8]
  reply[#reply + 1] = fields[10] or ''
end
return reply
