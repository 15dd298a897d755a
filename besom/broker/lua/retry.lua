-- Trials that were claimed before wait again: failed and crashed ones, and such as Redis has lost.
-- ARGV: namespace, epoch, sweep, then five for each: number, attempt, losses, failures, params (json).
-- The sweep goes on if it had finished.  Gives how many wait now.
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
local sweep = ARGV[3]
local state = redis.call('HGET', key.sweep(sweep), 'state')
if not state then return 0 end
local ready = {}
for i = 4, #ARGV, 5 do
  local number = ARGV[i]
  local held = trial_of(sweep, number)
  -- An end of this very attempt that was not forgotten yet; one of a later attempt is not in the store.
  if not held or (held.state == 'ended' and held.attempt == ARGV[i + 1] and held.token ~= '') then
    redis.call('SETBIT', key.done(sweep), number, 0)
    keep(sweep, number, {state = 'queued', attempt = ARGV[i + 1], token = '', agent = '', losses = ARGV[i + 2],
      failures = ARGV[i + 3], params = ARGV[i + 4]})
    ready[#ready + 1] = number
  end
end
if #ready > 0 then
  redis.call('RPUSH', key.ready(sweep), unpack(ready))
  if state == 'finished' then redis.call('HSET', key.sweep(sweep), 'state', 'running') end
end
return #ready
