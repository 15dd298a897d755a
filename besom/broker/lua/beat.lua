-- An agent is alive, and so are its trials.
-- ARGV: namespace, agent, milliseconds that this beat is good for, info (json, may be ''), then sweep, number, token ...
-- Gives for each trial 'ok', 'stale', 'unknown', 'cancel' or 'stop'.
local expiry = integer(now + tonumber(ARGV[3]))
redis.call('ZADD', key.agents(), expiry, ARGV[2])
if ARGV[4] ~= '' then redis.call('HSET', key.agent(ARGV[2]), 'info', ARGV[4]) end
redis.call('PEXPIRE', key.agent(ARGV[2]), integer(tonumber(ARGV[3]) * 10))
local until_ms = integer(now + lease_ms())
local replies = {}
for i = 5, #ARGV, 3 do
  local sweep, number, token = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if owned(sweep, number, trial_of(sweep, number), token) then
    redis.call('ZADD', key.leases(), until_ms, member(sweep, number))
    replies[#replies + 1] = (redis.call('HGET', key.sweep(sweep), 'state') == 'cancelled' and 'cancel')
      or (redis.call('SISMEMBER', key.stops(sweep), number) == 1 and 'stop') or 'ok'
  else
    replies[#replies + 1] = not_owned(sweep)
  end
end
return replies
