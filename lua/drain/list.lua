--[[ drain/list.lua: one page of the dirty URLs, oldest mark first; then those being swept.
  KEYS[1]  unit prefix; derived: dirty, swept                                    "<namespace>:drain:{<name>/0}:"
  ARGV[1]  "dirty" or "swept"
  ARGV[2]  for "dirty": only URLs marked after this, epoch us; for "swept": cursor of a scan, "0" to begin
  ARGV[3]  about how many, 1 to 1000
  Returns  {"OK", cursor to go on with or "", url, score, ...}
  Twice    reads only. Cost: 1 call and the size of the page. ]]
-- @include drain/unit.lua
local unit, count = KEYS[1], tonumber(ARGV[3])
local reply = {'OK', ''}
if ARGV[1] == 'dirty' then
  local page = call('ZRANGEBYSCORE', unit .. 'dirty', '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, count)
  for i = 1, #page, 2 do
    reply[i + 2] = page[i]
    reply[i + 3] = int(tonumber(page[i + 1]))
  end
  if #page == 2 * count then reply[2] = reply[#reply] end
else
  local page = call('HSCAN', unit .. 'swept', ARGV[2], 'COUNT', count)
  if page[1] ~= '0' then reply[2] = page[1] end
  for i = 1, #page[2], 2 do
    reply[i + 2] = page[2][i]
    reply[i + 3] = string.match(page[2][i + 1], ':(%d+)$')
  end
end
return reply
