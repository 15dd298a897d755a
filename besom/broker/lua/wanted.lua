-- What is wanted of a trial's attempt, asked by the code that runs in it, and how much of what it logged is recorded.
-- ARGV: namespace, sweep, number, token, run, writer.
-- Gives {'cancel'|'stale'|'stop'|'pause'|'', last recorded batch of this writer}.
return {wanted(ARGV[2], ARGV[3], ARGV[4]), redis.call('HGET', key.writers(ARGV[5]), 'kept ' .. ARGV[6]) or '0'}
