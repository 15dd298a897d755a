-- What Redis lost comes back from the store: a sweep, and its trials that are running or done.
-- ARGV: namespace, epoch, sweep, spec (json), state, retries, then nine for each trial: kind ('done' or 'running'),
-- number, params, attempt, token, agent, losses, failures, milliseconds of lease.
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
local sweep = ARGV[3]
-- Redis has not heard of this attempt: it lost everything, or its last second.
local function is_behind(sweep, number, attempt)
  local held = trial_of(sweep, number)
  return not held or (held.state ~= 'ended' and tonumber(held.attempt) < tonumber(attempt))
end
if redis.call('EXISTS', key.sweep(sweep)) == 0 then
  redis.call('HSET', key.sweep(sweep), 'spec', ARGV[4], 'state', ARGV[5], 'retries', ARGV[6])
  redis.call('ZADD', key.sweeps(), integer(now), sweep)
end
for i = 7, #ARGV, 9 do
  local number = ARGV[i + 1]
  if ARGV[i] == 'done' then
    redis.call('SETBIT', key.done(sweep), number, 1)
    redis.call('LREM', key.ready(sweep), 0, number)
    redis.call('HDEL', key.trials(sweep), number)
    redis.call('ZREM', key.leases(), member(sweep, number))
  elseif is_behind(sweep, number, ARGV[i + 3]) then
    redis.call('LREM', key.ready(sweep), 0, number)
    keep(sweep, number, {state = 'running', params = ARGV[i + 2], attempt = ARGV[i + 3], token = ARGV[i + 4],
      agent = ARGV[i + 5], losses = ARGV[i + 6], failures = ARGV[i + 7]})
    redis.call('ZADD', key.leases(), integer(now + tonumber(ARGV[i + 8])), member(sweep, number))
  end
end
return 1
