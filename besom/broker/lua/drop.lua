-- A removed sweep leaves Redis. ARGV: namespace, epoch, sweep.
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
for _, number in ipairs(redis.call('HKEYS', key.trials(ARGV[3]))) do
  redis.call('ZREM', key.leases(), member(ARGV[3], number))
end
redis.call('DEL', key.sweep(ARGV[3]), key.ready(ARGV[3]), key.trials(ARGV[3]), key.done(ARGV[3]), key.stops(ARGV[3]))
redis.call('ZREM', key.sweeps(), ARGV[3])
return 1
