-- Runs that went silent. ARGV: namespace, epoch.  Gives how many.
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
local silent = redis.call('ZRANGEBYSCORE', key.runs(), '-inf', integer(now), 'LIMIT', 0, 100)
for _, run in ipairs(silent) do
  redis.call('ZREM', key.runs(), run)
  journal('beat', {'run', run, 'alive', '0'})
end
redis.call('ZREMRANGEBYSCORE', key.agents(), '-inf', integer(now))
return #silent
