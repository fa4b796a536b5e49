"""Demo on one machine: embedded broker and store, and a simulated contact center."""
