-- An agent says goodbye. ARGV: namespace, agent.
redis.call('ZREM', key.agents(), ARGV[2])
redis.call('DEL', key.agent(ARGV[2]))
return 1
