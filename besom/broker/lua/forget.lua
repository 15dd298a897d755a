-- Trials whose end is in the store leave Redis; one bit each remains. ARGV: namespace, epoch, sweep, number ...
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
local numbers, leases = {}, {}
for i = 4, #ARGV do
  redis.call('SETBIT', key.done(ARGV[3]), ARGV[i], 1)
  numbers[#numbers + 1] = ARGV[i]
  leases[#leases + 1] = member(ARGV[3], ARGV[i])
end
if #numbers > 0 then
  redis.call('HDEL', key.trials(ARGV[3]), unpack(numbers))
  redis.call('ZREM', key.leases(), unpack(leases))
  redis.call('SREM', key.stops(ARGV[3]), unpack(numbers))
end
return #numbers
