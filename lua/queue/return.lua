--[[ queue/return.lua: ends leases without acknowledging: messages go back to their place, are held back for a while, or are buried.
  KEYS[1]  unit prefix; derived: l:<profile>, ring, back, later, dead, f:<facet>, what policies need; see queue/unit.lua
  ARGV     seven each: lease profile, entry id, delay in ms (0: at once), "1" if the attempt counts as used or "0" if nobody saw
           the message, "1" to bury it as a dead letter, reason; comma separated places from 1 of the messages this
           is about, the others of the lease are acknowledged, or with a "!" in front go back as if never seen; empty for all
  Returns  {"OK", word, ...} a word a lease: "BACK", "LATER", "DEAD" (the last message's fate), or "GONE" when it was not held any more.
  Flags    allow-oom
  Twice    a repeated call answers GONE and changes nothing. Clock: TIME.
  Cost     1 call, 4 to 6 a message, 5 more where facets are counted in flight. ]]
-- @include queue/track.lua
local unit = KEYS[1]
local tracked = call('EXISTS', unit .. 'busy') == 1
local strict = tracked and call('HGET', unit .. 'policy', 'strict')
local reply = {'OK'}
for i = 1, #ARGV, 7 do
  local profile, id, delay = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local counted, bury, reason, places = ARGV[i + 3] == '1', ARGV[i + 4] == '1', ARGV[i + 5], ARGV[i + 6]
  local stream = unit .. 'l:' .. profile
  local entry = call('XRANGE', stream, id, id)[1]
  local word = 'GONE'
  if entry then
    local _, max_attempts = parse_profile(profile)
    local chosen
    if places ~= '' then
      chosen = {}
      for place in string.gmatch(places, '%d+') do chosen[tonumber(place)] = true end
    end
    local rest_back = string.sub(places, 1, 1) == '!'
    local due = delay > 0 and now_ms() + delay or nil
    call('XDEL', stream, id)
    local list = entry[2]
    if tracked then untrack(unit, profile, id, list) end
    for j = 1, #list, 2 do
      local place = (j + 1) / 2
      if not chosen or chosen[place] then
        word = end_lease(unit, id, place, list[j], list[j + 1], max_attempts, counted, due, reason, bury, strict)
      elseif rest_back then
        end_lease(unit, id, place, list[j], list[j + 1], max_attempts, false, nil, '', false)
      end
    end
  end
  reply[#reply + 1] = word
end
return reply
