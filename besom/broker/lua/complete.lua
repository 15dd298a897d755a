-- Ends trials, and may claim the next in the same call.
-- ARGV: namespace, claim sweep or '', agent, count, nonce, then for each trial five: sweep, number, token, state,
-- details (a JSON object: error, exit_code, writers).
-- Gives {{'ok'|'retry'|'done'|'stale'|'unknown', ...}, id of the journal's entry or '', what claim gives}.
-- A claim of 0 tells the sweep's state. A failed trial with retries left waits again, behind the others: 'retry'.
local replies, items, records, leases = {}, {}, {}, {}
local entry = ''
local function finish(sweep)
  if #items == 0 then return end
  redis.call('HSET', key.trials(sweep), unpack(records))
  redis.call('ZREM', key.leases(), unpack(leases))
  entry = journal_items('ends', items, {})
  items, records, leases = {}, {}, {}
end
local retries, sweep, seen = 0, nil, {}
for i = 6, #ARGV, 5 do
  local number, token, state, details = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  if ARGV[i] ~= sweep then
    finish(sweep)
    sweep, seen = ARGV[i], {}
    retries = tonumber(redis.call('HGET', key.sweep(sweep), 'retries') or '0')
  end
  local trial = trial_of(sweep, number)
  if seen[number] then
    replies[#replies + 1] = 'done'
  elseif owned(sweep, number, trial, token) then
    if state == 'failed' and tonumber(trial.failures) < retries then
      trial.failures = integer(tonumber(trial.failures) + 1)
      entry = journal('retry', {'sweep', sweep, 'number', number, 'attempt', trial.attempt, 'token', token,
        'failures', trial.failures, 'details', details})
      if requeue(sweep, number, trial, false) then
        trial.token = ''
        keep(sweep, number, trial)
      end
      replies[#replies + 1] = 'retry'
    else
      trial.state = 'ended'
      items[#items + 1] = end_item(sweep, number, trial, state, details)
      records[#records + 1] = number
      records[#records + 1] = record_text(trial)
      leases[#leases + 1] = member(sweep, number)
      replies[#replies + 1] = 'ok'
      seen[number] = true
    end
  elseif (trial and trial.state == 'ended' and trial.token == token) or is_done(sweep, number) then
    replies[#replies + 1] = 'done'
  else
    replies[#replies + 1] = not_owned(sweep)
  end
end
finish(sweep)
local claimed = {'', {}}
if ARGV[2] ~= '' then claimed = claim(ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]) end
return {replies, entry, claimed}
