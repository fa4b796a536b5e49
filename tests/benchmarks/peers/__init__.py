"""Others' programs for the same records: less work than ours, in the way their documentation shows."""
