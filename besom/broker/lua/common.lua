-- What every verb shares: clock, journal, epoch, a trial's record, and the moves that several verbs make.
-- Redis' own clock is the only one for leases. What concerns many trials goes to Redis in one command, not one for each.

local function integer(number) return string.format('%.0f', number) end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local now = now_ms()

local function lease_ms() return tonumber(redis.call('HGET', key.timing(), 'lease_ms') or '30000') end

-- Appends an event; `total` is the journal's length in bytes after it, so that a reader knows how far it has come.
local function journal(kind, fields)
  local size = 96
  for _, field in ipairs(fields) do size = size + #tostring(field) end
  local total = redis.call('HINCRBY', key.journal_state(), 'total', size)
  return redis.call('XADD', key.journal(), '*', 'kind', kind, 'v', '1', 'at_ms', integer(now),
    'total', integer(total), unpack(fields))
end

-- A controller that slept past its lease carries an old epoch and changes nothing.
local function fenced(epoch)
  return epoch ~= (redis.call('HGET', key.controller(), 'epoch') or '0')
end

local function is_over(state) return state == 'stopping' or state == 'cancelled' or state == 'finished' end

local function is_done(sweep, number) return redis.call('GETBIT', key.done(sweep), number) == 1 end

local function member(sweep, number) return sweep .. ':' .. number end

-- A trial's record is one text of seven lines: state, attempt, token, agent, losses, failures, params (JSON).
local function read_record(text)
  if not text then return nil end
  local state, attempt, token, agent, losses, failures, params =
    string.match(text, '^(%a+)\n(%d+)\n([^\n]*)\n([^\n]*)\n(%d+)\n(%d+)\n(.*)$')
  return {state = state, attempt = attempt, token = token, agent = agent, losses = losses, failures = failures,
    params = params}
end

local function record_text(trial)
  return table.concat({trial.state, trial.attempt, trial.token, trial.agent, trial.losses, trial.failures, trial.params},
    '\n')
end

local function trial_of(sweep, number) return read_record(redis.call('HGET', key.trials(sweep), number)) end

local function keep(sweep, number, trial) redis.call('HSET', key.trials(sweep), number, record_text(trial)) end

-- One item of the event `ends`. `details` is a JSON object: error, exit_code, writers.
local function end_item(sweep, number, trial, state, details)
  return '["' .. sweep .. '",' .. number .. ',' .. trial.attempt .. ',"' .. trial.token .. '","' .. state .. '",'
    .. details .. ']'
end

local function claim_item(number, trial)
  return '[' .. number .. ',' .. trial.attempt .. ',"' .. trial.token .. '",' .. trial.params .. ']'
end

local function journal_items(kind, items, fields)
  fields[#fields + 1] = 'items'
  fields[#fields + 1] = '[' .. table.concat(items, ',') .. ']'
  return journal(kind, fields)
end

-- The trial's last state. Its record stays until the controller has it in the store and forgets it.
local function end_trial(sweep, number, trial, state, details)
  trial.state = 'ended'
  keep(sweep, number, trial)
  redis.call('ZREM', key.leases(), member(sweep, number))
  return journal_items('ends', {end_item(sweep, number, trial, state, details)}, {})
end

-- Back into the queue, in front or behind; in a sweep that takes no more trials it ends instead. Gives whether it waits.
local function requeue(sweep, number, trial, in_front)
  if is_over(redis.call('HGET', key.sweep(sweep), 'state')) then
    end_trial(sweep, number, trial, 'cancelled', '{}')
    return false
  end
  trial.state = 'queued'
  keep(sweep, number, trial)
  redis.call('ZREM', key.leases(), member(sweep, number))
  redis.call(in_front and 'LPUSH' or 'RPUSH', key.ready(sweep), number)
  return true
end

-- Whether the attempt with this token still owns the trial. One whose lease ran out comes back, as long as no other
-- attempt has claimed the trial.
local function owned(sweep, number, trial, token)
  if not trial or token == '' or trial.token ~= token or trial.state == 'ended' then return false end
  if trial.state == 'queued' then
    redis.call('LREM', key.ready(sweep), 0, number)
    trial.state, trial.losses = 'running', integer(math.max(0, tonumber(trial.losses) - 1))
    keep(sweep, number, trial)
    journal_items('claims', {claim_item(number, trial)}, {'sweep', sweep, 'agent', trial.agent})
  end
  return true
end

-- What an attempt is told that does not own its trial: 'stale', or 'unknown' while Redis, having lost what it held, does
-- not know the sweep.
local function not_owned(sweep) return redis.call('EXISTS', key.sweep(sweep)) == 1 and 'stale' or 'unknown' end

-- What is wanted of an attempt: 'cancel', 'stale', 'stop', 'pause' or ''.
local function wanted(sweep, number, token)
  local state = redis.call('HGET', key.sweep(sweep), 'state')
  local trial = trial_of(sweep, number)
  if state == 'cancelled' then return 'cancel' end
  if state and (not trial or trial.token ~= token) then return 'stale' end
  if redis.call('SISMEMBER', key.stops(sweep), number) == 1 then return 'stop' end
  return state == 'paused' and 'pause' or ''
end

-- The same claim again, its reply having been lost: the same trials, as far as they are still the agent's.
local function claim_again(sweep, nonce, numbers)
  local out = {}
  for number in string.gmatch(numbers, '%d+') do
    local token = nonce .. '-' .. number
    local trial = trial_of(sweep, number)
    if owned(sweep, number, trial, token) then out[#out + 1] = {number, trial.attempt, token, trial.params} end
  end
  return out
end

-- Lends up to `count` ready trials to an agent; `nonce` makes it repeatable. Gives the sweep's state and the trials.
local function claim(sweep, agent, count, nonce)
  local state = redis.call('HGET', key.sweep(sweep), 'state')
  if not state then return {'unknown', {}} end
  local last = redis.call('HMGET', key.agent(agent), 'nonce', 'held')
  if last[1] == nonce and last[2] and last[2] ~= '' then return {state, claim_again(sweep, nonce, last[2])} end
  if state ~= 'running' and state ~= 'pending' then return {state, {}} end
  local expiry, out, items, held, records, leases = integer(now + lease_ms()), {}, {}, {}, {}, {}
  while #out < count do
    local numbers = redis.call('LPOP', key.ready(sweep), count - #out)
    if not numbers or #numbers == 0 then break end
    for place, text in ipairs(redis.call('HMGET', key.trials(sweep), unpack(numbers))) do
      local number, trial = numbers[place], read_record(text)
      -- One that is over has no record any more, so that a number that stands in `ready` twice harms nothing.
      if trial and trial.state == 'queued' then
        trial.state, trial.agent, trial.token = 'running', agent, nonce .. '-' .. number
        trial.attempt = integer(tonumber(trial.attempt) + 1)
        out[#out + 1] = {number, trial.attempt, trial.token, trial.params}
        items[#items + 1] = claim_item(number, trial)
        held[#held + 1] = number
        records[#records + 1] = number
        records[#records + 1] = record_text(trial)
        leases[#leases + 1] = expiry
        leases[#leases + 1] = member(sweep, number)
      end
    end
  end
  if #out == 0 then return {state, out} end
  redis.call('HSET', key.trials(sweep), unpack(records))
  redis.call('ZADD', key.leases(), unpack(leases))
  journal_items('claims', items, {'sweep', sweep, 'agent', agent})
  redis.call('HSET', key.agent(agent), 'nonce', nonce, 'held', table.concat(held, ' '))
  -- An agent that dies before its first beat leaves nothing behind.
  if redis.call('PTTL', key.agent(agent)) < 0 then redis.call('PEXPIRE', key.agent(agent), integer(lease_ms() * 10)) end
  return {state, out}
end
