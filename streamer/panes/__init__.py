"""When it counts: panes of event time, windows over them, and the fold from journeys to tallies."""
