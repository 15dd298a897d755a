-- The first turn that waits in an RQ queue; it and its job are gone then.
-- ARGV: namespace, key of the queue, prefix of the jobs' keys.  Gives {job id, {field, value, ...}}, or {}.
local id = redis.call('LPOP', ARGV[2])
if not id then return {} end
local job = ARGV[3] .. id
local fields = redis.call('HGETALL', job)
redis.call('DEL', job)
return {id, fields}
