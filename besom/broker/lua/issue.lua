-- New trials, after the store has them. ARGV: namespace, epoch, sweep, then number, params (json) ...
-- Gives how many were not known before.
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
local sweep = ARGV[3]
local state = redis.call('HGET', key.sweep(sweep), 'state')
if not state then return 0 end
local ready, ended = {}, {}
for i = 4, #ARGV, 2 do
  local number = ARGV[i]
  local trial = {state = 'queued', attempt = '0', token = '', agent = '', losses = '0', failures = '0', params = ARGV[i + 1]}
  if not is_done(sweep, number) and redis.call('HSETNX', key.trials(sweep), number, record_text(trial)) == 1 then
    if is_over(state) then
      trial.state = 'ended'
      keep(sweep, number, trial)
      ended[#ended + 1] = end_item(sweep, number, trial, 'cancelled', '{}')
    else
      ready[#ready + 1] = number
    end
  end
end
if #ended > 0 then journal_items('ends', ended, {}) end
if #ready > 0 then
  redis.call('RPUSH', key.ready(sweep), unpack(ready))
  if state == 'pending' then
    redis.call('HSET', key.sweep(sweep), 'state', 'running')
    journal('state', {'sweep', sweep, 'state', 'running'})
  end
end
return #ready
