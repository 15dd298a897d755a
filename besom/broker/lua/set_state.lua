-- pause, resume, stop, cancel; the controller's finish carries its epoch.
-- ARGV: namespace, sweep, state, epoch or ''.  Gives {'ok' | 'unknown' | 'refused', state it was in}.
if ARGV[4] ~= '' and fenced(ARGV[4]) then return redis.error_reply('FENCED') end
local sweep, wanted = ARGV[2], ARGV[3]
local state = redis.call('HGET', key.sweep(sweep), 'state')
if not state then return {'unknown', ''} end
if state == wanted then return {'ok', state} end
local allowed = {
  running = state == 'paused' or state == 'pending',
  paused = state == 'running' or state == 'pending',
  stopping = state == 'running' or state == 'pending' or state == 'paused',
  cancelled = state == 'running' or state == 'pending' or state == 'paused' or state == 'stopping',
  finished = state == 'running' or state == 'pending' or state == 'stopping' or state == 'paused',
}
if not allowed[wanted] then return {'refused', state} end
redis.call('HSET', key.sweep(sweep), 'state', wanted)
-- The controller's finish comes from the store; told back later, it would end a sweep that was reopened meanwhile.
if ARGV[4] == '' then journal('state', {'sweep', sweep, 'state', wanted}) end
if is_over(wanted) then
  local ended = {}
  for _, number in ipairs(redis.call('LRANGE', key.ready(sweep), 0, -1)) do
    local trial = trial_of(sweep, number)
    if trial and trial.state == 'queued' then
      trial.state = 'ended'
      keep(sweep, number, trial)
      ended[#ended + 1] = end_item(sweep, number, trial, 'cancelled', '{}')
    end
  end
  redis.call('DEL', key.ready(sweep))
  if #ended > 0 then journal_items('ends', ended, {}) end
end
return {'ok', state}
