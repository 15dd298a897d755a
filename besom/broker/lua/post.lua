-- A piece of a blob on its way to the controller, or a look at what became of it.
-- ARGV: namespace, parcel, bytes that may be under way or '0' for a look, then the piece's fields: name, size, place,
-- data; the last one is the data.
-- Gives {'ok'|'full', what the controller said of this parcel or '', the controller's epoch}.
local said = redis.call('GET', key.parcel(ARGV[2])) or ''
local epoch = redis.call('HGET', key.controller(), 'epoch') or '0'
local limit = tonumber(ARGV[3])
if limit == 0 or said ~= '' then return {'ok', said, epoch} end
local held = redis.call('HMGET', key.parcel_state(), 'total', 'read')
local under_way = tonumber(held[1] or '0') - tonumber(held[2] or '0')
local size = #ARGV[#ARGV] + 128
if under_way > 0 and under_way + size > limit then return {'full', '', epoch} end
local total = redis.call('HINCRBY', key.parcel_state(), 'total', size)
local fields = {}
for i = 4, #ARGV do fields[#fields + 1] = ARGV[i] end
redis.call('XADD', key.parcels(), '*', 'parcel', ARGV[2], 'total', integer(total), unpack(fields))
return {'ok', '', epoch}
