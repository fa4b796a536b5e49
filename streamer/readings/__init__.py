"""What is true now: rolling windows, history and freshness, read incrementally from the store."""
