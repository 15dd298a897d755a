-- New trials, after the store has them. ARGV: namespace, epoch, sweep, then number, params (json) ...
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
local sweep = ARGV[3]
local state = redis.call('HGET', key.sweep(sweep), 'state')
if not state then return 0 end
local issued = 0
for i = 4, #ARGV, 2 do
  local number = ARGV[i]
  if redis.call('EXISTS', key.trial(sweep, number)) == 0 and not is_done(sweep, number) then
    redis.call('HSET', key.trial(sweep, number), 'state', 'queued', 'params', ARGV[i + 1], 'attempt', '0', 'losses', '0')
    redis.call('SADD', key.alive(sweep), number)
    if is_over(state) then
      end_trial(sweep, number, '0', '', 'cancelled', {})
    else
      redis.call('RPUSH', key.ready(sweep), number)
      issued = issued + 1
    end
  end
end
if state == 'pending' and issued > 0 then
  redis.call('HSET', key.sweep(sweep), 'state', 'running')
  journal('state', {'sweep', sweep, 'state', 'running'})
end
return issued
