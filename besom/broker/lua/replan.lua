-- New params for trials that nobody has claimed yet. ARGV: namespace, epoch, sweep, then number, params (json) ...
-- Gives the numbers that changed.
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
local changed = {}
for i = 4, #ARGV, 2 do
  local trial = trial_of(ARGV[3], ARGV[i])
  if trial and trial.state == 'queued' and trial.attempt == '0' then
    trial.params = ARGV[i + 1]
    keep(ARGV[3], ARGV[i], trial)
    changed[#changed + 1] = ARGV[i]
  end
end
return changed
