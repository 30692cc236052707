--[[ lock/renew.lua: begins the lease of a lock anew, for its owner only, and only while no later number was given.
  KEYS[1]  lock   STRING  token of its owner, expires with the lease
  KEYS[2]  fence  STRING  the last number given
  ARGV[1]  token of the owner     ARGV[2]  its number     ARGV[3]  lease in ms     ARGV[4]  as ARGV[3] of acquire
  Returns  {"HELD"} or {"LOST"}; a lock that was lost is never taken again by this.
  Flags    allow-oom
  Twice    a repeated call begins the lease once more. Cost 4 calls. ]]
local call = redis.call
if call('GET', KEYS[1]) ~= ARGV[1] or call('GET', KEYS[2]) ~= ARGV[2] then return {'LOST'} end
call('PEXPIRE', KEYS[1], ARGV[3])
if ARGV[4] then call('PEXPIRE', KEYS[2], ARGV[4]) end
return {'HELD'}
