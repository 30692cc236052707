--[[ drain/sweep.lua: leases the next dirty URL, or a certain one, to a sweeper.
  KEYS[1]  unit prefix; derived: dirty, swept, until, again, seq                 "<namespace>:drain:{<name>/0}:"
  ARGV[1]  how long it is leased, ms
  ARGV[2]  "next" or "one"
  ARGV[3]  for "next": only URLs marked after this, epoch us      for "one": the URL
  ARGV[4]  for "next": only URLs marked until this, epoch us, or "" for until now
  Returns  {"TAKEN", until, url, score, token}, {"NONE", until} or, for "one", {"BUSY", until}: somebody else sweeps it.
           until: what ARGV[4] was, or now.
  Flags    allow-oom
  Twice    a repeated call takes another URL; the first one comes back when its lease ends. Clock: TIME.
  Cost     8 calls, 5 for each of up to 64 URLs that sweepers left behind. ]]
-- @include drain/unit.lua
-- @include drain/sweeps.lua
local unit, lease, mode = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local now = now_us()
reclaim(unit)
local limit, url, score = int(now), nil, nil
if mode == 'one' then
  url = ARGV[3]
  score = call('ZSCORE', unit .. 'dirty', url)
  if not score then return {call('HEXISTS', unit .. 'swept', url) == 1 and 'BUSY' or 'NONE', limit} end
else
  if ARGV[4] ~= '' then limit = ARGV[4] end
  local first = call('ZRANGEBYSCORE', unit .. 'dirty', '(' .. ARGV[3], limit, 'WITHSCORES', 'LIMIT', 0, 1)
  if #first == 0 then return {'NONE', limit} end
  url, score = first[1], first[2]
end
score = int(tonumber(score))
local token = call('INCR', unit .. 'seq')
call('ZREM', unit .. 'dirty', url)
call('HSET', unit .. 'swept', url, int(token) .. ':' .. score)
call('ZADD', unit .. 'until', int(math.floor(now / 1000) + lease), url)
return {'TAKEN', limit, url, score, int(token)}
