--[[ drain/state.lua: how much there is, counted; and takes back what dead sweepers left behind.
  KEYS[1]  unit prefix; derived: inbox, cursor, due, attempts, dirty, swept, until, again     "<namespace>:drain:{<name>/0}:"
  ARGV     none
  Returns  {"OK", batches stored, of them leased, of them to be tried again, age of the oldest in ms, dirty URLs waiting, URLs being
           swept, age of the oldest waiting in ms}
  Flags    allow-oom
  Twice    counts again. Clock: TIME. Cost: 9 calls, 5 for each of up to 64 URLs taken back. ]]
-- @include drain/unit.lua
-- @include drain/sweeps.lua
local unit, now = KEYS[1], now_us()
local ms = math.floor(now / 1000)
reclaim(unit)
local oldest = call('XRANGE', unit .. 'inbox', '-', '+', 'COUNT', 1)[1]
local first = call('ZRANGE', unit .. 'dirty', 0, 0, 'WITHSCORES')[2]
return {
  'OK',
  call('XLEN', unit .. 'inbox'),
  call('ZCOUNT', unit .. 'due', '(' .. int(ms), '+inf'),
  call('HLEN', unit .. 'attempts'),
  oldest and int(math.max(0, ms - tonumber(string.match(oldest[1], '^%d+')))) or 0,
  call('ZCARD', unit .. 'dirty'),
  call('HLEN', unit .. 'swept'),
  first and int(math.max(0, (now - first) / 1000)) or 0,
}
