"""Events: the five inputs, their envelopes, decoding, and the reasons for rejecting one."""
