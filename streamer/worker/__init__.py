"""The worker: it counts what is in the partitions it owns."""
