--[[ stream/ruby_due.lua: moves what the Ruby library has delayed to its stream once it is due, as its own delayer does.
  KEYS[1]  log      STREAM  field payload                             "[<namespace>:]redstream:stream:<name>"
  KEYS[2]  delayed  STREAM  field payload; only XDEL is ever used on it    "[<namespace>:]redstream:stream:<name>.delay"
  ARGV[1]  age in ms at which a note is due      ARGV[2]  how many at most, 1 to 1,000
  Returns  {"OK", moved, ms until the next is due; -1 if there is none}.
  Errors   when memory is full the server refuses before anything is moved.
  Twice    a repeated call moves what is due next; nothing is moved twice.
  Clock    TIME. Cost: 2 calls a note, 2 more. ]]
local call, log, delayed = redis.call, KEYS[1], KEYS[2]
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due, moved = now - ARGV[1], 0
local page = call('XRANGE', delayed, '-', string.format('%.0f', math.max(0, due)), 'COUNT', ARGV[2])
for i = 1, #page do
  local fields = page[i][2]
  for j = 1, #fields, 2 do
    if fields[j] == 'payload' then call('XADD', log, '*', 'payload', fields[j + 1]) end
  end
  call('XDEL', delayed, page[i][1])
  moved = moved + 1
end
local first = call('XRANGE', delayed, '-', '+', 'COUNT', 1)[1]
return {'OK', moved, first and math.max(0, string.match(first[1], '^%d+') - due) or -1}
