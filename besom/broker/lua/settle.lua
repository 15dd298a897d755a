-- After a commit: how far the store is, and what writers need not keep any longer.
-- ARGV: namespace, epoch, last journal id, bytes read, id below which the journal is trimmed or '', number of writers
-- whose batches are recorded, writer, batch ..., then writers that are closed.
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
redis.call('HSET', key.journal_state(), 'last_id', ARGV[3], 'read', ARGV[4])
if ARGV[5] ~= '' then redis.call('XTRIM', key.journal(), 'MINID', ARGV[5]) end
local count = tonumber(ARGV[6])
for i = 7, 6 + 2 * count, 2 do redis.call('HSET', key.recorded(), ARGV[i], ARGV[i + 1]) end
for i = 7 + 2 * count, #ARGV do
  redis.call('HDEL', key.recorded(), ARGV[i])
  redis.call('HDEL', key.appended(), ARGV[i])
end
return 1
