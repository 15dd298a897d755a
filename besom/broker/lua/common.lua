-- What every verb shares: clock, journal, epoch, and the two moves of a trial that several verbs make.
-- Redis' own clock is the only one for leases.

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

-- The trial's last state. Its hash stays until the controller has it in the store and forgets it.
local function end_trial(sweep, number, attempt, token, state, details)
  redis.call('HSET', key.trial(sweep, number), 'state', 'ended', 'token', token)
  redis.call('ZREM', key.leases(), member(sweep, number))
  local fields = {'sweep', sweep, 'number', number, 'attempt', attempt, 'token', token, 'state', state}
  for _, field in ipairs(details) do fields[#fields + 1] = field end
  return journal('end', fields)
end

-- Back into the queue, in front or behind; in a sweep that takes no more trials it ends instead. Gives whether it waits.
local function requeue(sweep, number, attempt, token, in_front)
  if is_over(redis.call('HGET', key.sweep(sweep), 'state')) then
    end_trial(sweep, number, attempt, token, 'cancelled', {})
    return false
  end
  redis.call('HSET', key.trial(sweep, number), 'state', 'queued')
  redis.call('ZREM', key.leases(), member(sweep, number))
  redis.call(in_front and 'LPUSH' or 'RPUSH', key.ready(sweep), number)
  return true
end

-- An attempt whose lease ran out comes back before another has claimed its trial.
local function take_back(sweep, number, attempt, token)
  redis.call('LREM', key.ready(sweep), 0, number)
  redis.call('HSET', key.trial(sweep, number), 'state', 'running')
  redis.call('HINCRBY', key.trial(sweep, number), 'losses', -1)
  local held = redis.call('HMGET', key.trial(sweep, number), 'agent', 'params')
  journal('claim', {'sweep', sweep, 'number', number, 'attempt', attempt, 'token', token,
    'agent', held[1] or '', 'params', held[2] or '{}'})
end

-- Whether the attempt with this token still owns the trial: its attempt number, or nil.
local function owned(sweep, number, token)
  local held = redis.call('HMGET', key.trial(sweep, number), 'state', 'token', 'attempt')
  if held[2] ~= token or held[1] == 'ended' then return nil, held[1], held[2] end
  if held[1] == 'queued' then take_back(sweep, number, held[3], token) end
  return held[3]
end

-- Lends up to `count` ready trials to an agent. `nonce` makes it repeatable: the same call again, its reply
-- having been lost, gives the same trials.
local function claim(sweep, agent, count, nonce)
  local out = {}
  local state = redis.call('HGET', key.sweep(sweep), 'state')
  if not state then return {'unknown', out} end
  local last = redis.call('HMGET', key.agent(agent), 'nonce', 'held')
  if last[1] == nonce and last[2] and last[2] ~= '' then
    for number in string.gmatch(last[2], '%d+') do
      local token = nonce .. '-' .. number
      local attempt = owned(sweep, number, token)
      if attempt then
        out[#out + 1] = {number, attempt, token, redis.call('HGET', key.trial(sweep, number), 'params')}
      end
    end
    return {state, out}
  end
  if state ~= 'running' and state ~= 'pending' then return {state, out} end
  local expiry = integer(now + lease_ms())
  local held = {}
  while #out < count do
    local number = redis.call('LPOP', key.ready(sweep))
    if not number then break end
    local trial = redis.call('HMGET', key.trial(sweep, number), 'state', 'params', 'attempt')
    if trial[1] == 'queued' and not is_done(sweep, number) then
      local attempt = integer(tonumber(trial[3]) + 1)
      local token = nonce .. '-' .. number
      redis.call('HSET', key.trial(sweep, number), 'state', 'running', 'attempt', attempt, 'token', token, 'agent', agent)
      redis.call('ZADD', key.leases(), expiry, member(sweep, number))
      journal('claim', {'sweep', sweep, 'number', number, 'attempt', attempt, 'token', token,
        'agent', agent, 'params', trial[2]})
      out[#out + 1] = {number, attempt, token, trial[2]}
      held[#held + 1] = number
    end
  end
  redis.call('HSET', key.agent(agent), 'nonce', nonce, 'held', table.concat(held, ' '))
  -- An agent that dies before its first beat leaves nothing behind.
  if redis.call('PTTL', key.agent(agent)) < 0 then redis.call('PEXPIRE', key.agent(agent), integer(lease_ms() * 10)) end
  return {state, out}
end
