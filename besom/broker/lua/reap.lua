-- Puts trials whose lease ran out back into the queue; any agent and the controller may call it.
-- ARGV: namespace, losses after which a trial has crashed, how many at most.  Gives how many were reaped.
local lease = lease_ms()
local reaper = redis.call('HMGET', key.reaper(), 'last', 'hold')
local last, hold = tonumber(reaper[1] or '0'), tonumber(reaper[2] or '0')
-- After an outage nobody could beat: hold still for one whole lease.
if now - last > lease / 2 or last > now then hold = now + lease end
-- The clock was set back: no lease may last longer than one given now.
if last > now then
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', key.leases(), integer(now + lease), '+inf')) do
    redis.call('ZADD', key.leases(), integer(now + lease), name)
  end
end
redis.call('HSET', key.reaper(), 'last', integer(now), 'hold', integer(hold))
if now < hold and hold <= now + lease then return 0 end
local expired = redis.call('ZRANGEBYSCORE', key.leases(), '-inf', integer(now), 'LIMIT', 0, tonumber(ARGV[3]))
for _, name in ipairs(expired) do
  local sweep, number = string.match(name, '^(.*):(%d+)$')
  local trial = trial_of(sweep, number)
  redis.call('ZREM', key.leases(), name)
  if trial and trial.state == 'running' then
    local losses = tonumber(trial.losses) + 1
    trial.losses = integer(losses)
    journal('lost', {'sweep', sweep, 'number', number, 'attempt', trial.attempt, 'token', trial.token,
      'losses', trial.losses})
    if losses >= tonumber(ARGV[2]) then
      end_trial(sweep, number, trial, 'crashed',
        '{"error":"its agent was lost ' .. trial.losses .. ' times while running it"}')
    else
      -- Once in front; then behind, so that a poison trial does not kill one agent after another.
      requeue(sweep, number, trial, losses == 1)
    end
  end
end
return #expired
