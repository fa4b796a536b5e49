"""Panes of event time, windows over them, and the fold from journeys to the rows that panes add up."""
