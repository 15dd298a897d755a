-- One entry of the journal from a writer. ARGV: namespace, limit in bytes or '0', writer or '', number of its batch,
-- '1' when the writer keeps no earlier batch, sweep or '', number, token, kind, then the event's fields.
-- Gives {'ok'|'full'|'gap', journal id, last recorded batch of this writer,
--        '' | 'cancel' | 'stop' | 'stale' | 'pause'}.
local writer, seq = ARGV[3], tonumber(ARGV[4])
local recorded = redis.call('HGET', key.recorded(), writer) or '0'
local control = ''
if ARGV[6] ~= '' then
  local state = redis.call('HGET', key.sweep(ARGV[6]), 'state')
  local trial = redis.call('HMGET', key.trial(ARGV[6], ARGV[7]), 'token', 'stop')
  if state == 'cancelled' then control = 'cancel'
  elseif trial[1] ~= ARGV[8] then control = 'stale'
  elseif trial[2] then control = 'stop'
  elseif state == 'paused' then control = 'pause' end
end
if writer ~= '' then
  -- Batches of a writer enter in order and once; a Redis that lost its tail asks for what is missing.
  local appended = tonumber(redis.call('HGET', key.appended(), writer) or '0')
  if seq <= appended then return {'ok', '', recorded, control} end
  if seq > appended + 1 and ARGV[5] ~= '1' then return {'gap', '', recorded, control} end
end
local limit = tonumber(ARGV[2])
if limit > 0 then
  local held = redis.call('HMGET', key.journal_state(), 'total', 'read')
  if tonumber(held[1] or '0') - tonumber(held[2] or '0') > limit then return {'full', '', recorded, control} end
end
local fields = {}
for i = 10, #ARGV do fields[#fields + 1] = ARGV[i] end
local entry = journal(ARGV[9], fields)
if writer ~= '' then redis.call('HSET', key.appended(), writer, ARGV[4]) end
return {'ok', entry, recorded, control}
