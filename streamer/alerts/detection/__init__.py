"""Detection: baselines, evidence, thresholds and missing data, each with a stated rate of false alarms."""
