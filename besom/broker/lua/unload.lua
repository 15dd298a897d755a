-- The controller has taken pieces of blobs, and says what became of parcels.
-- ARGV: namespace, epoch, id of the last piece taken or '', bytes read up to it, seconds that answers live, then
-- parcel, answer ...
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
if ARGV[3] ~= '' then
  redis.call('HSET', key.parcel_state(), 'read', ARGV[4])
  redis.call('XTRIM', key.parcels(), 'MINID', ARGV[3])
  redis.call('XDEL', key.parcels(), ARGV[3])
end
for i = 6, #ARGV, 2 do redis.call('SET', key.parcel(ARGV[i]), ARGV[i + 1], 'EX', ARGV[5]) end
return 1
