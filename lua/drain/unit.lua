--[[ drain/unit.lua: what every script of a drain shares; included, never run by itself.

  A drain and its dirty map are one unit: all keys start with KEYS' unit prefix, "<namespace>:drain:{<name>/0}:", and share its slot.
  Batches, from their reception until every stage and listener is done with them:
    inbox      STREAM  one entry a batch, field b its body as the sender's JSON; the entry id is the batch's id and dates it
    cursor     STRING  id of the last batch that was handed out for the first time; what stands behind it waits
    due        ZSET    batches that were handed out, scored by when they may be handed out again: end of lease, or time of a retry
    attempts   HASH    batch id to how often it was handed out again; attempts so far are one more. They are the fence of a lease
    d:<id>     HASH    what the filter decided about a batch: slice number to one character an event, see drain/decide.lua
    seen       SET     digests of batches stored in this window; seen.old: in the one before; seen.since: when it began
    idle       STRING  there while nobody found anything: the next store tells the channel wake
    wake       CHANNEL told when there is something to process again
  What the filter knows, by entity (a digest of its URL):
    state      HASH    "<t>:<kind>:<digest>" of its newest event; state.old: of the window before; state.since: when it began
  The dirty map:
    dirty      ZSET    URLs to sweep, scored by when they were first marked, epoch us; no two scores are equal
    swept      HASH    URLs somebody sweeps to "<token>:<score in dirty>"; a URL is in dirty or here, never in both
    until      ZSET    the same URLs, scored by the end of their lease, epoch ms
    again      HASH    URLs marked while they are swept, to the time of that mark, epoch us
    seq        STRING  the last token given out
    marked     CHANNEL told every URL that has become dirty ]]
local call = redis.call

local function now_us()
  local t = call('TIME')
  return t[1] * 1000000 + t[2]
end

local function int(number) return string.format('%.0f', number) end
