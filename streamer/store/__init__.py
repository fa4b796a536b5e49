"""The state store: its interface, its key layout, and its implementations in memory and in Redis."""
