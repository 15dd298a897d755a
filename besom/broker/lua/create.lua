-- A new sweep. ARGV: namespace, sweep, spec (json), retries.  Gives 0 when the id is taken by another spec.
local held = redis.call('HGET', key.sweep(ARGV[2]), 'spec')
if held then return held == ARGV[3] and 1 or 0 end
redis.call('HSET', key.sweep(ARGV[2]), 'spec', ARGV[3], 'state', 'pending', 'retries', ARGV[4])
redis.call('ZADD', key.sweeps(), integer(now), ARGV[2])
journal('sweep', {'spec', ARGV[3]})
return 1
