-- What is wanted of a trial's attempt, asked by the code that runs in it.
-- ARGV: namespace, sweep, number, token.  Gives 'cancel', 'stale', 'stop', 'pause' or ''.
return wanted(ARGV[2], ARGV[3], ARGV[4])
