--[[ queue/bury.lua: makes something a dead letter that was taken for good and turned out to be no event.
  KEYS[1]  unit prefix; derived: dead                                    "<namespace>:queue:{<name>/<partition>}:"
  ARGV     three each: element, attempt, reason
  Returns  {"OK"}
  Flags    allow-oom
  Twice    a repeated call makes it a dead letter twice. Clock: TIME. Cost: 1 call an element. ]]
-- @include queue/unit.lua
for i = 1, #ARGV, 3 do
  put_dead(KEYS[1], facet_of(ARGV[i]) or '', ARGV[i], ARGV[i + 1], ARGV[i + 2], order_of_now())
end
return {'OK'}
