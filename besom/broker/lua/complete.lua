-- Ends trials, and may claim the next in the same call.
-- ARGV: namespace, claim sweep or '', agent, count, nonce, then for each trial six: sweep, number, token, state,
-- number of fields that follow, those fields (error, exit_code, writers ... as name, value).
-- Gives {{'ok'|'done'|'stale', journal id}, ...}, then what claim gives.
local replies = {}
local i = 6
while i <= #ARGV do
  local sweep, number, token, state, extra = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], tonumber(ARGV[i + 4])
  local details = {}
  for j = i + 5, i + 4 + extra do details[#details + 1] = ARGV[j] end
  i = i + 5 + extra
  local attempt, held, held_token = owned(sweep, number, token)
  if attempt then
    replies[#replies + 1] = {'ok', end_trial(sweep, number, attempt, token, state, details)}
  elseif (held == 'ended' and held_token == token) or is_done(sweep, number) then
    replies[#replies + 1] = {'done', ''}
  else
    replies[#replies + 1] = {'stale', ''}
  end
end
local claimed = {'', {}}
if ARGV[2] ~= '' and tonumber(ARGV[4]) > 0 then claimed = claim(ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]) end
return {replies, claimed}
