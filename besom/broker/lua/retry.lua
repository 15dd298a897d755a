-- Trials that were claimed before wait again: failed and crashed ones, promoted ones, and such as Redis has lost.
-- ARGV: namespace, epoch, sweep, 'front' or 'back', then five for each: number, attempt, losses, failures, params (json).
-- The sweep goes on if it had finished; in one that takes no more trials they are cancelled.  Gives how many wait now.
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
local sweep = ARGV[3]
local state = redis.call('HGET', key.sweep(sweep), 'state')
if not state then return 0 end
local ready, ended = {}, {}
for i = 5, #ARGV, 5 do
  local number = ARGV[i]
  local held = trial_of(sweep, number)
  redis.call('SREM', key.stops(sweep), number)
  -- An end of this very attempt that was not forgotten yet; one of a later attempt is not in the store.
  if not held or (held.state == 'ended' and held.attempt == ARGV[i + 1] and held.token ~= '') then
    local trial = {state = 'queued', attempt = ARGV[i + 1], token = '', agent = '', losses = ARGV[i + 2],
      failures = ARGV[i + 3], params = ARGV[i + 4]}
    redis.call('SETBIT', key.done(sweep), number, 0)
    if state == 'stopping' or state == 'cancelled' then
      trial.state = 'ended'
      ended[#ended + 1] = end_item(sweep, number, trial, 'cancelled', '{}')
    else
      ready[#ready + 1] = number
    end
    keep(sweep, number, trial)
  end
end
if #ended > 0 then journal_items('ends', ended, {}) end
if ARGV[4] == 'front' then
  for i = #ready, 1, -1 do redis.call('LPUSH', key.ready(sweep), ready[i]) end
elseif #ready > 0 then
  redis.call('RPUSH', key.ready(sweep), unpack(ready))
end
if #ready > 0 and state == 'finished' then redis.call('HSET', key.sweep(sweep), 'state', 'running') end
return #ready
