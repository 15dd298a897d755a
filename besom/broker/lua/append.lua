-- One entry of the journal. ARGV: namespace, limit in bytes or '0', run, writer or '', number of its batch, '1' when
-- the writer keeps no earlier batch, sweep or '', number, token, kind, then the event's fields.
-- Gives {'ok'|'full'|'gap', journal id, last recorded batch of this writer,
--        '' | 'cancel' | 'stop' | 'stale' | 'pause'}.
local sent, kept, seq = 'sent ' .. ARGV[4], 'kept ' .. ARGV[4], tonumber(ARGV[5])
local recorded = '0'
local control = ARGV[7] ~= '' and wanted(ARGV[7], ARGV[8], ARGV[9]) or ''
if ARGV[4] ~= '' then
  -- Batches of a writer enter in order and once; a Redis that lost its tail asks for what is missing.
  local held = redis.call('HMGET', key.writers(ARGV[3]), sent, kept)
  local appended = tonumber(held[1] or '0')
  recorded = held[2] or '0'
  if seq <= appended then return {'ok', '', recorded, control} end
  if seq > appended + 1 and ARGV[6] ~= '1' then return {'gap', '', recorded, control} end
end
local limit = tonumber(ARGV[2])
if limit > 0 then
  local held = redis.call('HMGET', key.journal_state(), 'total', 'read')
  if tonumber(held[1] or '0') - tonumber(held[2] or '0') > limit then return {'full', '', recorded, control} end
end
local fields = {}
for i = 11, #ARGV do fields[#fields + 1] = ARGV[i] end
local entry = journal(ARGV[10], fields)
if ARGV[4] ~= '' then
  redis.call('HSET', key.writers(ARGV[3]), sent, ARGV[5])
  redis.call('EXPIRE', key.writers(ARGV[3]), 86400)
end
return {'ok', entry, recorded, control}
