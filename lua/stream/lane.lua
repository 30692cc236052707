--[[ stream/lane.lua: included by scripts that look at the lane of backfills. Not a script of its own.
  The lane is a STREAM at <unit>lane; fields of an entry: payload; after, the last id the log had given when it was added; job, the
  backfill's id; n, its number in the job. Each consumer's lane.offset:<consumer> is the last id in the lane that it has handled. ]]
local function lane_field(entry, name)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == name then return entry[2][i + 1] end
  end
  return false
end

local function lane_offset(unit, consumer)
  return redis.call('GET', unit .. 'lane.offset:' .. consumer) or '0-0'
end

-- The first entry in the lane behind an id, or nil.
local function lane_next(unit, id)
  return redis.call('XRANGE', unit .. 'lane', '(' .. id, '+', 'COUNT', 1)[1]
end
