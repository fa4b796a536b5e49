"""The worker process: count the records of the partitions it owns."""
