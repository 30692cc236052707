--[[ drain/clean.lua: ends or extends the lease of a URL that is swept.
  KEYS[1]  unit prefix; derived: dirty, swept, until, again, channel marked      "<namespace>:drain:{<name>/0}:"
  ARGV[1]  URL     ARGV[2]  token of its lease
  ARGV[3]  "clean", "dirty" (it goes back to its place) or "extend <ms>"
  Returns  {"CLEAN"}; {"DIRTY"}: it stays dirty, because it was marked meanwhile or was given back; {"HELD"}: extended;
           {"GONE"}: the lease was not held any more.
  Flags    allow-oom
  Twice    a repeated call answers GONE after an end, and extends again otherwise. Clock: TIME. Cost: up to 6 calls. ]]
-- @include drain/unit.lua
-- @include drain/sweeps.lua
local unit, url, token, what = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local held = call('HGET', unit .. 'swept', url)
if not held or string.match(held, '^%d+') ~= token then return {'GONE'} end
if what == 'dirty' then
  give_back(unit, url, held)
  return {'DIRTY'}
elseif what ~= 'clean' then
  call('ZADD', unit .. 'until', int(math.floor(now_us() / 1000) + tonumber(string.match(what, '%d+$'))), url)
  return {'HELD'}
end
local marked = call('HGET', unit .. 'again', url)
call('HDEL', unit .. 'swept', url)
call('ZREM', unit .. 'until', url)
if not marked then return {'CLEAN'} end
call('HDEL', unit .. 'again', url)
call('ZADD', unit .. 'dirty', marked, url)
call('PUBLISH', unit .. 'marked', url)
return {'DIRTY'}
