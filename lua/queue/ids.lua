--[[ queue/ids.lua: the window of ids in which a message is recognised as a duplicate, included by the scripts that deliver. ]]
-- A new deduplication window begins: the ids of this one are kept for one window more. Only the server's clock decides.
local function rotate_ids(unit, window)
  local t = call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  local since = call('GET', unit .. 'ids.since')
  if not since or now - since >= window then
    if call('EXISTS', unit .. 'ids') == 1 then
      call('UNLINK', unit .. 'ids.old') -- not by RENAME, which would free it on the spot
      call('RENAME', unit .. 'ids', unit .. 'ids.old')
      call('PEXPIRE', unit .. 'ids.old', 2 * window)
    end
    call('SET', unit .. 'ids.since', now, 'PX', 4 * window)
  end
end
