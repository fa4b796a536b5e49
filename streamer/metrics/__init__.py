"""Metrics: their counts, formulas and confidence intervals, and the catalogue that declares them."""
