"""What follows from the catalogue: the metric table of the README."""
