-- The controller's lease. ARGV: namespace, holder, milliseconds, info (json), 'hold' or 'leave'.
-- Gives {epoch of the caller or 0, holder, info, milliseconds left}.
local held = redis.call('HMGET', key.controller(), 'holder', 'epoch', 'until', 'info')
local epoch, until_ms = tonumber(held[2] or '0'), tonumber(held[3] or '0')
if ARGV[5] == 'leave' then
  if held[1] == ARGV[2] then redis.call('HSET', key.controller(), 'until', '0', 'holder', '') end
  return {'0', '', '', '0'}
end
if held[1] ~= ARGV[2] then
  if held[1] and held[1] ~= '' and until_ms > now then
    return {'0', held[1], held[4] or '', integer(until_ms - now)}
  end
  epoch = epoch + 1
end
redis.call('HSET', key.controller(), 'holder', ARGV[2], 'epoch', integer(epoch),
  'until', integer(now + tonumber(ARGV[3])), 'info', ARGV[4])
return {integer(epoch), ARGV[2], ARGV[4], ARGV[3]}
