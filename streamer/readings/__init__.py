"""Readings of metrics over rolling windows, their history and age, read incrementally from the store."""
