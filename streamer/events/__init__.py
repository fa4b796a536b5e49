"""What happened: the five inputs, their envelopes, and the reasons for which one is rejected."""
