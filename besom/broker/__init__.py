"""Everything that talks to Redis: connection, service, keys, trial ledger, turns, journal, leases."""
