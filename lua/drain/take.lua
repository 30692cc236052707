--[[ drain/take.lua: hands out stored batches under leases: first those whose lease ended or whose retry is due, then new ones.
  KEYS[1]  unit prefix; derived: inbox, cursor, due, attempts, idle              "<namespace>:drain:{<name>/0}:"
  ARGV[1]  how many at most, 1 to 64     ARGV[2]  how long they are leased, ms
  Returns  {"OK", wait, id, attempt, body, ...}. wait: ms until the next one is due, -1 if none is; only known when fewer than asked
           for are returned, else -1.
  Flags    allow-oom
  Twice    a repeated call takes further batches; what the first one took is handed out again when its lease ends.
  Clock    TIME.
  Cost     5 calls, 2 a new batch, 4 a batch that comes again; O(log n) in what is stored. ]]
-- @include drain/unit.lua
local unit, n, lease = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local now = math.floor(now_us() / 1000)
local reply, taken = {'OK', -1}, 0

local function hand_out(id, attempt, fields)
  taken = taken + 1
  call('ZADD', unit .. 'due', int(now + lease), id)
  reply[#reply + 1] = id
  reply[#reply + 1] = attempt
  reply[#reply + 1] = fields[2]
end

local again = call('ZRANGEBYSCORE', unit .. 'due', '-inf', now, 'LIMIT', 0, n)
for i = 1, #again do
  local entry = call('XRANGE', unit .. 'inbox', again[i], again[i])[1]
  if entry then
    hand_out(again[i], 1 + call('HINCRBY', unit .. 'attempts', again[i], 1), entry[2])
  else
    call('ZREM', unit .. 'due', again[i]) -- somebody removed it by hand
    call('HDEL', unit .. 'attempts', again[i])
  end
end
if taken < n then
  local cursor = call('GET', unit .. 'cursor')
  local new = call('XRANGE', unit .. 'inbox', cursor and '(' .. cursor or '-', '+', 'COUNT', n - taken)
  for i = 1, #new do hand_out(new[i][1], 1, new[i][2]) end
  if #new > 0 then call('SET', unit .. 'cursor', new[#new][1]) end
end
if taken < n then
  call('SET', unit .. 'idle', '1')
  local first = call('ZRANGE', unit .. 'due', 0, 0, 'WITHSCORES')[2]
  if first then reply[2] = int(math.max(0, first - now)) end
end
return reply
