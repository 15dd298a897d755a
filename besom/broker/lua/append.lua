-- One entry of the journal from a writer. ARGV: namespace, limit in bytes or '0', writer or '', sweep or '', number,
-- token, kind, then the event's fields.
-- Gives {'ok'|'full', journal id, last recorded batch of this writer, '' | 'cancel' | 'stop' | 'stale' | 'pause'}.
local recorded = redis.call('HGET', key.recorded(), ARGV[3]) or '0'
local control = ''
if ARGV[4] ~= '' then
  local state = redis.call('HGET', key.sweep(ARGV[4]), 'state')
  local trial = redis.call('HMGET', key.trial(ARGV[4], ARGV[5]), 'token', 'stop')
  if state == 'cancelled' then control = 'cancel'
  elseif trial[1] ~= ARGV[6] then control = 'stale'
  elseif trial[2] then control = 'stop'
  elseif state == 'paused' then control = 'pause' end
end
local limit = tonumber(ARGV[2])
if limit > 0 then
  local held = redis.call('HMGET', key.journal_state(), 'total', 'read')
  if tonumber(held[1] or '0') - tonumber(held[2] or '0') > limit then return {'full', '', recorded, control} end
end
local fields = {}
for i = 8, #ARGV do fields[#fields + 1] = ARGV[i] end
return {'ok', journal(ARGV[7], fields), recorded, control}
