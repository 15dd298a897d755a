-- Runs outside sweeps. ARGV: namespace, milliseconds, then 'start', 'beat' or 'end', run ...
for i = 3, #ARGV, 2 do
  if ARGV[i] == 'end' then
    redis.call('ZREM', key.runs(), ARGV[i + 1])
  else
    local added = redis.call('ZADD', key.runs(), integer(now + tonumber(ARGV[2])), ARGV[i + 1])
    -- A run that was taken for crashed beats again.
    if added == 1 and ARGV[i] == 'beat' then journal('beat', {'run', ARGV[i + 1], 'alive', '1'}) end
  end
end
return 1
