"""Statistics that rules and detectors share: classes of observations, evidence, intervals, confidence."""
