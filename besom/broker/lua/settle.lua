-- After a commit: how far the store is, and what writers need not keep any longer.
-- ARGV: namespace, epoch, last journal id, bytes read, id below which the journal is trimmed or '', how many batches are
-- named, run, writer, batch ..., then runs that are closed.
if fenced(ARGV[2]) then return redis.error_reply('FENCED') end
redis.call('HSET', key.journal_state(), 'last_id', ARGV[3], 'read', ARGV[4])
if ARGV[5] ~= '' then redis.call('XTRIM', key.journal(), 'MINID', ARGV[5]) end
local rest = 7 + 3 * tonumber(ARGV[6])
for i = 7, rest - 1, 3 do
  redis.call('HSET', key.writers(ARGV[i]), 'kept ' .. ARGV[i + 1], ARGV[i + 2])
  redis.call('EXPIRE', key.writers(ARGV[i]), 86400)
end
for i = rest, #ARGV do redis.call('DEL', key.writers(ARGV[i])) end
return 1
