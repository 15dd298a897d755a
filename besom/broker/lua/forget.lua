-- Trials whose end is in the store leave Redis; one bit each remains. ARGV: namespace, epoch, sweep, number ...
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
for i = 4, #ARGV do
  redis.call('SETBIT', key.done(ARGV[3]), ARGV[i], 1)
  redis.call('DEL', key.trial(ARGV[3], ARGV[i]))
  redis.call('SREM', key.alive(ARGV[3]), ARGV[i])
  redis.call('ZREM', key.leases(), member(ARGV[3], ARGV[i]))
end
return #ARGV - 3
