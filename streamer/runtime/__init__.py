"""Services of a running process: the clock, retries, and the garbage collector."""
