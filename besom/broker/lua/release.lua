-- An agent hands a trial back. ARGV: namespace, sweep, number, token, reason.  Gives 1, or 0 when it was not its own.
local sweep, number, token = ARGV[2], ARGV[3], ARGV[4]
local trial = trial_of(sweep, number)
if not owned(sweep, number, trial, token) then return 0 end
journal('release', {'sweep', sweep, 'number', number, 'attempt', trial.attempt, 'token', token, 'reason', ARGV[5]})
if requeue(sweep, number, trial, true) then
  trial.token = ''
  keep(sweep, number, trial)
end
return 1
