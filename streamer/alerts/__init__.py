"""Who must know: what is wrong, how sure that is, and why."""
