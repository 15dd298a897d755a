-- A stopping rule ends trials: they are told at their next batch or beat, or that of the attempt that takes them over.
-- ARGV: namespace, epoch, sweep, number ...  Gives how many have not ended by themselves.
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
local told = {}
for i = 4, #ARGV do
  local trial = trial_of(ARGV[3], ARGV[i])
  if trial and trial.state ~= 'ended' then told[#told + 1] = ARGV[i] end
end
if #told > 0 then redis.call('SADD', key.stops(ARGV[3]), unpack(told)) end
return #told
