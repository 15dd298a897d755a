-- A stopping rule ends running trials: they are told at their next batch or beat.
-- ARGV: namespace, epoch, sweep, number ...  Gives how many run.
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
local running = {}
for i = 4, #ARGV do
  local trial = trial_of(ARGV[3], ARGV[i])
  if trial and trial.state == 'running' then running[#running + 1] = ARGV[i] end
end
if #running > 0 then redis.call('SADD', key.stops(ARGV[3]), unpack(running)) end
return #running
