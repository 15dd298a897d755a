-- An agent hands a trial back. ARGV: namespace, sweep, number, token, reason.  Gives 1, or 0 when it was not its own.
local sweep, number, token = ARGV[2], ARGV[3], ARGV[4]
local attempt = owned(sweep, number, token)
if not attempt then return 0 end
journal('release', {'sweep', sweep, 'number', number, 'attempt', attempt, 'token', token, 'reason', ARGV[5]})
if requeue(sweep, number, attempt, token, true) then redis.call('HDEL', key.trial(sweep, number), 'token') end
return 1
