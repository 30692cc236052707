--[[ drain/mark.lua: marks URLs dirty.
  KEYS[1]   unit prefix; derived: dirty, swept, again, channel marked            "<namespace>:drain:{<name>/0}:"
  ARGV[1..] URLs, each once, at most 500
  Returns   {"OK", 1 or 0, ...}, one for each URL: 1 when it was clean until now
  Twice     a repeated call finds them marked and answers 0. Clock: TIME. Cost: 5 calls and one a URL that was clean. ]]
-- @include drain/unit.lua
-- @include drain/marks.lua
local new, reply = mark(KEYS[1], ARGV), {'OK'}
for i = 1, #ARGV do reply[i + 1] = new[ARGV[i]] and 1 or 0 end
return reply
