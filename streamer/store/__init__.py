"""Where it stays: the port, its key layout, in memory and in Redis."""
