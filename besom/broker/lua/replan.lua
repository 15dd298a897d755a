-- New params for trials that nobody has claimed yet. ARGV: namespace, epoch, sweep, then number, params (json) ...
-- Gives the numbers that changed.
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
local changed = {}
for i = 4, #ARGV, 2 do
  local trial = redis.call('HMGET', key.trial(ARGV[3], ARGV[i]), 'state', 'attempt')
  if trial[1] == 'queued' and trial[2] == '0' then
    redis.call('HSET', key.trial(ARGV[3], ARGV[i]), 'params', ARGV[i + 1])
    changed[#changed + 1] = ARGV[i]
  end
end
return changed
