"""What it means: the counts, the intervals, and the one catalogue of metrics."""
