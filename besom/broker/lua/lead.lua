-- The controller's lease. ARGV: namespace, holder, milliseconds, info (json), 'hold' or 'leave', the store's epoch,
-- the caller's last renewal.  Gives {epoch of the caller or 0, holder, info, milliseconds left, renewal,
-- '1' when Redis had forgotten the caller's last one}.
local held = redis.call('HMGET', key.controller(), 'holder', 'epoch', 'until', 'info', 'renewal')
local epoch, until_ms = tonumber(held[2] or '0'), tonumber(held[3] or '0')
if ARGV[5] == 'leave' then
  if held[1] == ARGV[2] then redis.call('HSET', key.controller(), 'until', '0', 'holder', '') end
  return {'0', '', '', '0', '0', '0'}
end
-- A Redis that lost its epoch must not fall behind the store, which would refuse every later controller.
local known = tonumber(ARGV[6])
-- One that put an older file back, or a replica that lagged, has the holder and the epoch, but not the last renewals:
-- with the next epoch the controller compares it with the store.
local renewal, seen = tonumber(held[5] or '0'), tonumber(ARGV[7])
local forgot = held[1] == ARGV[2] and renewal < seen
if held[1] ~= ARGV[2] or epoch < known or forgot then
  if held[1] ~= ARGV[2] and held[1] and held[1] ~= '' and until_ms > now then
    return {'0', held[1], held[4] or '', integer(until_ms - now), '0', '0'}
  end
  epoch = math.max(epoch, known) + 1
end
redis.call('HSET', key.controller(), 'holder', ARGV[2], 'epoch', integer(epoch),
  'until', integer(now + tonumber(ARGV[3])), 'info', ARGV[4], 'renewal', integer(math.max(renewal, seen) + 1))
return {integer(epoch), ARGV[2], ARGV[4], ARGV[3], integer(math.max(renewal, seen) + 1), forgot and '1' or '0'}
