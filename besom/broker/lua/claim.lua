-- ARGV: namespace, sweep, agent, count, nonce.  Gives {sweep state, {{number, attempt, token, params}, ...}}.
return claim(ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5])
