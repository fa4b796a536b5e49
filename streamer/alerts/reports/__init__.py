"""Reports on alerts: explanations, charts, backtests, and text for a terminal."""
